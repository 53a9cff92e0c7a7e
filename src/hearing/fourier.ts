/** Powers of the frequencies of a window of samples. Knows no bands of them. */

/** Samples of a transform: behind a window's there are zeros. */
export const LENGTH = 512;
/** Frequencies that it tells apart. */
export const BINS = LENGTH / 2 + 1;

/** Of a window of so many samples, by a transform that halves itself. */
export class Fourier {
  readonly #window: Float64Array;
  readonly #cosines = turns(Math.cos);
  readonly #sines = turns(Math.sin);
  readonly #re = new Float64Array(LENGTH);
  readonly #im = new Float64Array(LENGTH);
  /** Where a sample begins: its number's bits the other way round. */
  readonly #places = Uint16Array.from({ length: LENGTH }, (_, i) => mirrored(i));
  readonly #powers = new Float64Array(BINS);

  /** Of a window of at most `LENGTH` samples, or Hann's of so many. */
  constructor(window: Float32Array | number) {
    this.#window = typeof window === "number" ? hann(window) : Float64Array.from(window);
  }

  /** [BINS], until the next call, of samples from `from` on; around them there is silence. */
  powersAt(samples: Float32Array, from: number): Float64Array {
    const re = this.#re, im = this.#im, powers = this.#powers;
    re.fill(0);
    im.fill(0);
    for (let i = 0; i < this.#window.length; i++) {
      const at = from + i;
      if (at >= 0 && at < samples.length) re[this.#places[i]] = this.#window[i] * samples[at];
    }
    for (let half = 1; half < LENGTH; half *= 2) this.#merge(half);
    for (let bin = 0; bin < BINS; bin++) powers[bin] = re[bin] ** 2 + im[bin] ** 2;
    return powers;
  }

  /** Transforms of `half` samples each become those of twice as many. */
  #merge(half: number): void {
    const re = this.#re, im = this.#im;
    const step = LENGTH / (2 * half);
    for (let begin = 0; begin < LENGTH; begin += 2 * half) {
      for (let i = 0; i < half; i++) {
        const cos = this.#cosines[i * step], sin = this.#sines[i * step];
        const near = begin + i, far = near + half;
        const x = re[far] * cos + im[far] * sin, y = im[far] * cos - re[far] * sin;
        re[far] = re[near] - x;
        im[far] = im[near] - y;
        re[near] += x;
        im[near] += y;
      }
    }
  }
}

function hann(length: number): Float64Array {
  return Float64Array.from({ length }, (_, i) => 0.5 - 0.5 * Math.cos(2 * Math.PI * i / length));
}

function turns(of: (angle: number) => number): Float64Array {
  return Float64Array.from({ length: LENGTH / 2 }, (_, i) => of(2 * Math.PI * i / LENGTH));
}

function mirrored(place: number): number {
  let out = 0;
  for (let bit = 1; bit < LENGTH; bit *= 2) out = 2 * out + (place & bit ? 1 : 0);
  return out;
}
