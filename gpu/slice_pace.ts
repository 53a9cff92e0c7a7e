/**
 * How much of a step goes to the GPU at once: as many units as take a few milliseconds, by what the
 * slices took that were waited for. Knows time; nothing of what units do.
 */
import type { GpuPriority } from "./device.ts";

/** A slice as long as this is not felt by whoever draws the screen. */
const TARGET_MS: Readonly<Record<GpuPriority, number>> = { normal: 8, background: 4 };

/** Slices under way at a time. */
const IN_FLIGHT_MAX: Readonly<Record<GpuPriority, number>> = { normal: 2, background: 1 };

/** Steps at the beginning that are waited for slice by slice. */
const MEASURED_STEPS = 3;

export class SlicePace {
  unitsPerSlice: number;
  /** The longest slice that was waited for. */
  longestMs = 0;
  readonly #units: number;
  readonly #targetMs: number;
  readonly #inFlightMax: number;
  #msPerUnit = 0;
  #steps = 0;
  #inFlight = 0;
  #inFlightUnits = 0;
  #startMs = 0;

  constructor(units: number, priority: GpuPriority) {
    this.#units = units;
    this.#targetMs = TARGET_MS[priority];
    this.#inFlightMax = IN_FLIGHT_MAX[priority];
    this.unitsPerSlice = priority === "background" ? 1 : Math.min(4, Math.max(1, units));
  }

  /** All of a step is one slice, by steps that were waited for. */
  get isWhole(): boolean {
    return this.#steps >= MEASURED_STEPS && this.unitsPerSlice >= this.#units;
  }

  /** A step begins. */
  begin(): void {
    this.#steps++;
    this.#inFlight = 0;
    this.#inFlightUnits = 0;
    this.#startMs = performance.now();
  }

  /** A slice was submitted; true when the GPU has enough to do. */
  mustWait(units: number, isLast: boolean): boolean {
    this.#inFlight++;
    this.#inFlightUnits += units;
    if (this.#steps <= MEASURED_STEPS) return true;
    if (this.#inFlightMax === 1) return true;
    return !isLast && this.#inFlight >= this.#inFlightMax;
  }

  /** All that was submitted is done. */
  waited(): void {
    const now = performance.now();
    const ms = now - this.#startMs;
    this.longestMs = Math.max(this.longestMs, ms / this.#inFlight);
    const each = ms / this.#inFlightUnits;
    // Quick to become careful, slow to become bold.
    this.#msPerUnit = Math.max(each, 0.7 * this.#msPerUnit + 0.3 * each);
    const wanted = Math.floor(this.#targetMs / Math.max(this.#msPerUnit, 1e-6));
    this.unitsPerSlice = Math.max(1, Math.min(this.#units, wanted, 2 * this.unitsPerSlice));
    this.#inFlight = 0;
    this.#inFlightUnits = 0;
    this.#startMs = now;
  }
}
