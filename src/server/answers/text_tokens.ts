/**
 * Tokens of an answer that its text is of: those of thoughts, of calls and of what marks them are
 * left out. What is held back as it may become a call has its tokens when it becomes text.
 */
import type { TokenLogprobs } from "../../llm/types.ts";
import type { Delta } from "../tools/answer_parser.ts";

export class TextTokens {
  readonly #bytesOf: (id: number) => Uint8Array;
  /** Tokens since the last ones that were told apart. */
  #open: TokenLogprobs[] = [];
  /** The text's tokens that are not shown, with the byte of the text at which each begins. */
  #waiting: { readonly start: number; readonly token: TokenLogprobs }[] = [];
  #textBytes = 0;
  #shownBytes = 0;

  /** bytesOf: a token's bytes in text; of control tokens none. */
  constructor(bytesOf: (id: number) => Uint8Array) {
    this.#bytesOf = bytesOf;
  }

  /**
   * The tokens of the text that `shown` is the end of: `deltas`, which the answer's next `tokens`
   * brought, less what may be, or is, a stop string.
   */
  push(
    tokens: readonly TokenLogprobs[],
    deltas: readonly Delta[],
    shown: readonly Delta[] = deltas,
  ): TokenLogprobs[] {
    this.#open.push(...tokens);
    if (deltas.length > 0) this.#tellApart(deltas);
    this.#shownBytes += bytesOf(shown).length;
    const hidden = this.#waiting.findIndex(({ start }) => start >= this.#shownBytes);
    const count = hidden < 0 ? this.#waiting.length : hidden;
    return this.#waiting.splice(0, count).map(({ token }) => token);
  }

  #tellApart(deltas: readonly Delta[]): void {
    const open = this.#open;
    this.#open = [];
    // From the end, as what is before a text may be a head, or white space that is nobody's.
    const text = bytesOf(deltas);
    const own: { start: number; token: TokenLogprobs }[] = [];
    let end = text.length;
    for (let at = open.length - 1; at >= 0 && end > 0; at--) {
      const bytes = this.#bytesOf(open[at].id);
      if (bytes.length === 0) continue;
      if (!isAlike(bytes, text.subarray(0, end))) break;
      end -= bytes.length;
      own.unshift({ start: this.#textBytes + Math.max(0, end), token: open[at] });
    }
    this.#textBytes += text.length;
    this.#waiting.push(...own);
  }
}

function bytesOf(deltas: readonly Delta[]): Uint8Array {
  const texts = deltas.map((delta) => delta.kind === "text" ? delta.text : "");
  return new TextEncoder().encode(texts.join(""));
}

/** True where both end alike, as far as the shorter one reaches. */
function isAlike(a: Uint8Array, b: Uint8Array): boolean {
  const length = Math.min(a.length, b.length);
  const [x, y] = [a, b].map((bytes) => bytes.subarray(bytes.length - length));
  return x.every((byte, i) => byte === y[i]);
}
