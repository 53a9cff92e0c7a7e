/**
 * How long steps take by how many rows they have: measured as they run, and what lies between is
 * interpolated. Knows nothing of what rows are for.
 */

/** A measured time counts for so much of the one that is remembered. */
const NEW_SHARE = 1 / 8;
/** A time this many times the remembered one, or one part of so many, is somebody else's doing. */
const SURPRISE_MAX = 2;

export class StepTimes {
  /** [rowsMax + 1]: milliseconds; 0: never measured. */
  readonly #ms: Float64Array;

  /** [2]: when the step began; how long it took. Not numbers of fields, which V8 would box. */
  readonly #clock = new Float64Array(2);

  constructor(rowsMax: number) {
    this.#ms = new Float64Array(rowsMax + 1);
  }

  /** A step begins. */
  start(): void {
    this.#clock[0] = performance.now();
  }

  /** The step that has begun is over; it had so many rows. */
  stop(rows: number): void {
    this.#clock[1] = performance.now() - this.#clock[0];
    this.#take(rows);
  }

  /** A step of so many rows took so long. */
  add(rows: number, ms: number): void {
    this.#clock[1] = ms;
    this.#take(rows);
  }

  /** True when a step of so few rows, or fewer, was measured. */
  knows(rows: number): boolean {
    return this.#below(rows) > 0;
  }

  /**
   * What a step of so many rows takes, in milliseconds; 0: nothing was measured yet. Between two
   * measured sizes it is on the line between them, beyond all of them it grows with the rows.
   */
  estimate(rows: number): number {
    const times = this.#ms;
    const below = this.#below(rows);
    const above = this.#above(rows);
    if (above === times.length) return below === 0 ? 0 : times[below] * rows / below;
    if (below === 0 || below === above) return times[above];
    const share = (rows - below) / (above - below);
    return times[below] + share * (times[above] - times[below]);
  }

  #take(rows: number): void {
    const ms = this.#clock[1];
    const times = this.#ms;
    const isFirst = times[rows] === 0;
    // What is neither remembered nor between two that are cannot surprise.
    const isNew = isFirst && (this.#below(rows) === 0 || this.#above(rows) === times.length);
    const expected = this.estimate(rows);
    const bounded = isNew
      ? ms
      : Math.max(expected / SURPRISE_MAX, Math.min(expected * SURPRISE_MAX, ms));
    times[rows] = isFirst ? bounded : times[rows] + NEW_SHARE * (bounded - times[rows]);
  }

  /** The next smaller size that was measured, this one included; 0: none was. */
  #below(rows: number): number {
    while (rows > 0 && this.#ms[rows] === 0) rows--;
    return rows;
  }

  /** The next larger one; behind all sizes: none was. */
  #above(rows: number): number {
    while (rows < this.#ms.length && this.#ms[rows] === 0) rows++;
    return rows;
  }
}
