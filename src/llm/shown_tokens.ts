/**
 * Which tokens' text an answer shows by now: those of what is held back wait with it, and those of
 * a stop text are never told. Knows nothing of stop texts themselves.
 */

interface Waiting<Token> {
  /** Where its text is in the answer, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  readonly token: Token;
}

export class ShownTokens<Token> {
  readonly #waiting: Waiting<Token>[] = [];
  #decoded = 0;
  #shown = 0;

  /** A token that added `text` to what was decoded; a part of a character only adds none yet. */
  add(token: Token, text: string): void {
    const start = this.#decoded;
    this.#decoded += text.length;
    this.#waiting.push({ start, end: this.#decoded, token });
  }

  /** The tokens whose text, or the beginning of it, is shown once `piece` is. */
  show(piece: string): Token[] {
    this.#shown += piece.length;
    const shown = this.#shown;
    const hidden = this.#waiting.findIndex(({ start, end }) => start >= shown && end > shown);
    const count = hidden < 0 ? this.#waiting.length : hidden;
    return this.#waiting.splice(0, count).map(({ token }) => token);
  }

  /** The same once nothing is held back any more. */
  showRest(piece: string): Token[] {
    const tokens = this.show(piece);
    this.#decoded = this.#shown;
    return tokens;
  }
}
