/**
 * Progress of long work on stderr: a bar on a terminal, plain lines elsewhere. Nothing is shown of
 * work that is over quickly.
 */
import { formatBytes } from "../base/units.ts";
import { takePassingLineAway, writeErrorLine, writePassingLine } from "./output.ts";
import { getEnv } from "./settings.ts";

/** Work that ends sooner than this shows nothing. */
const QUIET_MS = 500;
const TERMINAL_INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 5_000;
const BAR_COLUMNS = 30;
const LEAST_BAR_COLUMNS = 10;

/** Progress through a known number of bytes, or of anything else. */
export class Progress implements Disposable {
  readonly #label: string;
  /** A dumb one, as editors have, cannot write over a line. */
  readonly #isTerminal = Deno.stderr.isTerminal() && getEnv("TERM") !== "dumb";
  #nextMs = performance.now() + QUIET_MS;

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
    const share = total > 0 ? Math.min(1, done / total) : 0;
    const beside = detail ?? `${formatBytes(done)} of ${formatBytes(total)}`;
    if (!this.#isTerminal) {
      return writeErrorLine(`${this.#label}: ${percentText(share)} (${beside})`);
    }
    const columns = terminalColumns();
    writePassingLine(progressLine({ label: this.#label, share, beside, columns }));
  }

  /** Takes the bar away. */
  [Symbol.dispose](): void {
    takePassingLineAway();
  }
}

/** What a line of a terminal shows. */
interface LineParts {
  readonly label: string;
  /** How much is done, 0 to 1. */
  readonly share: number;
  readonly beside: string;
  readonly columns: number;
}

/**
 * The line, shorter than the terminal is wide: one that wraps could not be written over. The bar
 * gives way first, then the end of the label, then what stands beside.
 */
export function progressLine({ label, share, beside, columns }: LineParts): string {
  const percent = percentText(share);
  const room = columns - 1;
  const words = label.length + percent.length + beside.length + "  ".length + " ()".length;
  const barColumns = Math.min(BAR_COLUMNS, Math.max(LEAST_BAR_COLUMNS, room - words));
  const bar = "█".repeat(Math.round(share * barColumns)).padEnd(barColumns, "░");
  const most = Math.max(1, room - (words - label.length) - barColumns);
  const short = label.length <= most ? label : `${label.slice(0, most - 1)}…`;
  const line = `${short} ${bar} ${percent} (${beside})`;
  return line.length <= room ? line : `${bar} ${percent}`.slice(0, room);
}

function percentText(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

/** How wide the terminal is now: people change it. */
function terminalColumns(): number {
  try {
    return Deno.consoleSize().columns || 80;
  } catch {
    return 80;
  }
}
