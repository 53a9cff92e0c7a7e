/**
 * Lines of code as they are written into an editor: an answer ends where a line stands further out
 * than the editor asked for, and with the first line that comes when its time is over.
 */
export class LineWatch {
  readonly #indentMin: number;
  readonly #msMax: number;
  readonly #now: () => number;
  #startMs: number | null = null;
  #hasLine = false;
  /** Columns of white space that the line under way begins with; null: it has begun. */
  #indent: number | null = null;
  #isEnded = false;

  constructor(
    { indentMin = 0, msMax = Infinity, now = () => performance.now() }: {
      /** Columns that every line but the first begins with. */
      readonly indentMin?: number;
      /** From the first text, after which no further line is begun. */
      readonly msMax?: number;
      readonly now?: () => number;
    },
  ) {
    this.#indentMin = indentMin;
    this.#msMax = msMax;
    this.#now = now;
  }

  /** Whether the answer is at its end: nothing that comes belongs to it. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Whether there was a line's end in it. */
  get hasLine(): boolean {
    return this.#hasLine;
  }

  /** What of the next text belongs to the answer. */
  push(text: string): string {
    if (this.#isEnded) return "";
    this.#startMs ??= this.#now();
    for (let i = 0; i < text.length; i++) {
      if (!this.#isInPlace(text[i])) {
        this.#isEnded = true;
        return text.slice(0, i);
      }
    }
    this.#isEnded = this.#hasLine && this.#now() - this.#startMs > this.#msMax;
    return text;
  }

  /** False for the first letter of a line that stands too far out. */
  #isInPlace(letter: string): boolean {
    if (letter === "\n") {
      this.#hasLine = true;
      this.#indent = 0;
    } else if (this.#indent !== null) {
      if (letter === " " || letter === "\t") this.#indent++;
      else if (this.#indent < this.#indentMin) return false;
      else this.#indent = null;
    }
    return true;
  }
}
