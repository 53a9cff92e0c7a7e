/** Spectra of frames to samples: windows that overlap (ISO/IEC 14496-3, 4.6.11). */
import { LONG, SHORT, SHORT_COUNT } from "./bands.ts";
import type { Layout } from "./layout.ts";
import { EIGHT_SHORT, LONG_START, LONG_STOP } from "./layout.ts";
import { Transform } from "./transform.ts";

/** Before the first of eight short windows, and behind the last one. */
const FLAT = (LONG - SHORT) / 2;

/** What one frame of a channel leaves to the next. */
export interface Overlap {
  /** [LONG] */
  readonly samples: Float64Array;
  /** The window's shape. */
  shape: number;
}

/** Rising halves by their shape: sines, and those of Kaiser and Bessel. */
const LONG_RISES: readonly Float64Array[] = [sines(LONG), kaiser(LONG, 4)];
const SHORT_RISES: readonly Float64Array[] = [sines(SHORT), kaiser(SHORT, 6)];

export class Windows {
  readonly #long = new Transform(LONG);
  readonly #short = new Transform(SHORT);
  readonly #samples = new Float64Array(2 * LONG);
  readonly #one = new Float64Array(2 * SHORT);

  /** Adds the samples of a frame, [LONG], to `sum`. */
  add(spectrum: Float64Array, layout: Layout, overlap: Overlap, sum: Float64Array): void {
    const samples = this.#samples, { samples: before } = overlap;
    if (layout.sequence === EIGHT_SHORT) this.#eight(spectrum, layout.shape, overlap.shape);
    else this.#single(spectrum, layout, overlap.shape);
    for (let i = 0; i < LONG; i++) {
      sum[i] += samples[i] + before[i];
      before[i] = samples[LONG + i];
    }
    overlap.shape = layout.shape;
  }

  #single(spectrum: Float64Array, { sequence, shape }: Layout, shapeBefore: number): void {
    const samples = this.#samples;
    this.#long.toSamples(spectrum, 0, samples);
    if (sequence === LONG_STOP) {
      const rise = SHORT_RISES[shapeBefore];
      samples.fill(0, 0, FLAT);
      for (let i = 0; i < SHORT; i++) samples[FLAT + i] *= rise[i];
    } else {
      const rise = LONG_RISES[shapeBefore];
      for (let i = 0; i < LONG; i++) samples[i] *= rise[i];
    }
    if (sequence === LONG_START) {
      const rise = SHORT_RISES[shape];
      for (let i = 0; i < SHORT; i++) samples[LONG + FLAT + i] *= rise[SHORT - 1 - i];
      samples.fill(0, LONG + FLAT + SHORT);
    } else {
      const rise = LONG_RISES[shape];
      for (let i = 0; i < LONG; i++) samples[LONG + i] *= rise[LONG - 1 - i];
    }
  }

  #eight(spectrum: Float64Array, shape: number, shapeBefore: number): void {
    const samples = this.#samples, one = this.#one;
    samples.fill(0);
    for (let window = 0; window < SHORT_COUNT; window++) {
      this.#short.toSamples(spectrum, window * SHORT, one);
      const rise = SHORT_RISES[window === 0 ? shapeBefore : shape], fall = SHORT_RISES[shape];
      const at = FLAT + window * SHORT;
      for (let i = 0; i < SHORT; i++) {
        samples[at + i] += one[i] * rise[i];
        samples[at + SHORT + i] += one[SHORT + i] * fall[SHORT - 1 - i];
      }
    }
  }
}

function sines(length: number): Float64Array {
  return Float64Array.from({ length }, (_, i) => Math.sin(Math.PI * (i + 0.5) / (2 * length)));
}

/** Roots of the sums of Kaiser's window up to each place, of all of it. */
function kaiser(length: number, alpha: number): Float64Array {
  const weights = Float64Array.from({ length: length + 1 }, (_, i) => {
    const off = 2 * i / length - 1;
    return bessel(Math.PI * alpha * Math.sqrt(1 - off * off));
  });
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  return weights.subarray(0, length).map((weight) => Math.sqrt((sum += weight) / all));
}

/** Bessel's function of the first kind, changed, of order 0. */
function bessel(x: number): number {
  let sum = 1, term = 1;
  for (let i = 1; term > 1e-18 * sum; i++) {
    term *= (x / (2 * i)) ** 2;
    sum += term;
  }
  return sum;
}
