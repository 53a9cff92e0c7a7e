/**
 * How long steps take by how many rows they have: measured as they run, and what lies between is
 * interpolated. Knows nothing of what rows are for.
 */

/** A measured time counts for so much of the one that is remembered. */
const NEW_SHARE = 1 / 8;
/** A time this many times the remembered one, or one part of so many, is somebody else's doing. */
const SURPRISE_MAX = 2;
/** The best of so many first steps of a size counts; so many are needed to know anything. */
const FEW_STEPS = 4;
const KNOWN_STEPS = 3;

export class StepTimes {
  /** [rowsMax + 1]: milliseconds; 0: never measured. */
  readonly #ms: Float64Array;

  /** [rowsMax + 1]: how often, at most FEW_STEPS. */
  readonly #counts: Uint8Array;
  /** [2]: when the step began; how long it took. Not numbers of fields, which V8 would box. */
  readonly #clock = new Float64Array(2);

  constructor(rowsMax: number) {
    this.#ms = new Float64Array(rowsMax + 1);
    this.#counts = new Uint8Array(rowsMax + 1);
  }

  /** A step begins. */
  start(): void {
    this.#clock[0] = performance.now();
  }

  /** The step that has begun is over; it was `steps` steps, of so many rows each. */
  stop(rows: number, steps = 1): void {
    this.#clock[1] = (performance.now() - this.#clock[0]) / steps;
    this.#take(rows);
  }

  /** A step of so many rows took so long. */
  add(rows: number, ms: number): void {
    this.#clock[1] = ms;
    this.#take(rows);
  }

  /** True when steps of so few rows, or fewer, were measured a few times. */
  knows(rows: number): boolean {
    while (rows > 0 && this.#counts[rows] < KNOWN_STEPS) rows--;
    return rows > 0;
  }

  /**
   * What a step of so many rows takes, in milliseconds; 0: nothing was measured yet. Between two
   * measured sizes it is on the line between them, beyond all of them it grows with the rows. A
   * size that was measured a few times only gets the benefit of the doubt. More rows than any step
   * has take as long as the most.
   */
  estimate(wanted: number): number {
    const rows = Math.min(wanted, this.#ms.length - 1);
    const own = this.#ms[rows];
    if (this.#counts[rows] >= FEW_STEPS) return own;
    const line = this.#line(rows);
    return own === 0 ? line : line === 0 ? own : Math.min(own, line);
  }

  /** By other sizes. */
  #line(rows: number): number {
    const times = this.#ms;
    let below = rows - 1;
    while (below > 0 && times[below] === 0) below--;
    let above = rows + 1;
    while (above < times.length && times[above] === 0) above++;
    if (above >= times.length) return below <= 0 ? 0 : times[below] * rows / below;
    if (below <= 0) return times[above];
    const share = (rows - below) / (above - below);
    return times[below] + share * (times[above] - times[below]);
  }

  #take(rows: number): void {
    const times = this.#ms;
    const ms = this.#clock[1];
    const before = times[rows];
    if (this.#counts[rows] < FEW_STEPS) {
      this.#counts[rows]++;
      // What is run for the first time is slow: V8 has not compiled all of it.
      times[rows] = before === 0 ? ms : Math.min(before, ms);
      return;
    }
    const bounded = Math.max(before / SURPRISE_MAX, Math.min(before * SURPRISE_MAX, ms));
    times[rows] = before + NEW_SHARE * (bounded - before);
  }
}
