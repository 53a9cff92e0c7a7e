/**
 * Progress of long work on stderr: a bar on a terminal, plain lines elsewhere. Nothing is shown of
 * work that is over quickly.
 */
import { formatBytes } from "../base/units.ts";
import { writeError, writeErrorLine } from "./output.ts";

/** Work that ends sooner than this shows nothing. */
const QUIET_MS = 500;
const TERMINAL_INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 5_000;
const BAR_COLUMNS = 30;

/** Progress through a known number of bytes, or of anything else. */
export class Progress implements Disposable {
  readonly #label: string;
  readonly #isTerminal = Deno.stderr.isTerminal();
  #nextMs = performance.now() + QUIET_MS;
  #shown = false;

  /** @param label what is going on, for example "Loading model.gguf". */
  constructor(label: string) {
    this.#label = label;
  }

  /**
   * Shows how far the work is, if it is time to.
   * @param detail what is shown beside the percentage; left out: the two as sizes.
   */
  update(done: number, total: number, detail?: string): void {
    const now = performance.now();
    if (now < this.#nextMs) return;
    this.#nextMs = now + (this.#isTerminal ? TERMINAL_INTERVAL_MS : LINE_INTERVAL_MS);
    this.#shown = true;
    const share = total > 0 ? Math.min(1, done / total) : 0;
    const beside = detail ?? `${formatBytes(done)} of ${formatBytes(total)}`;
    const percent = `${Math.floor(share * 100)} %`;
    if (!this.#isTerminal) return writeErrorLine(`${this.#label}: ${percent} (${beside})`);
    const bar = "█".repeat(Math.round(share * BAR_COLUMNS)).padEnd(BAR_COLUMNS, "░");
    writeError(`\r\x1b[K${this.#label} ${bar} ${percent} (${beside})`);
  }

  /** Says something in a line of its own. */
  note(text: string): void {
    this[Symbol.dispose]();
    writeErrorLine(text);
  }

  /** Takes the bar away. */
  [Symbol.dispose](): void {
    if (this.#shown && this.#isTerminal) writeError("\r\x1b[K");
  }
}
