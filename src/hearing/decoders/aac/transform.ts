/**
 * AAC's transform: a spectrum to twice as many samples (ISO/IEC 14496-3, 4.6.11.3.1), by a
 * transform of complex numbers a quarter as long. Knows no windows.
 */

export class Transform {
  /** Numbers of a spectrum. */
  readonly #length: number;
  /** Half as many: of complex numbers. */
  readonly #half: number;
  readonly #re: Float64Array;
  readonly #im: Float64Array;
  /** Turns before and behind, by an eighth of a step off, and those within. */
  readonly #outer: Turns;
  readonly #inner: Turns;
  /** Where a number begins: its place's bits the other way round. */
  readonly #places: Uint16Array;

  /** @param length a power of two. */
  constructor(length: number) {
    const half = length / 2;
    this.#length = length;
    this.#half = half;
    this.#re = new Float64Array(half);
    this.#im = new Float64Array(half);
    this.#outer = turns(half, (i) => -Math.PI * (i + 1 / 8) / length);
    this.#inner = turns(half / 2, (i) => -2 * Math.PI * i / half);
    this.#places = mirrored(half);
  }

  /**
   * samples[i] = 1 / n · Σ spectrum[k] · cos(π / n · (i + (n + 1) / 2) · (k + 1/2)), n: length
   * @param at where the spectrum, [length], begins in `spectrum`.
   * @param samples [2 · length]
   */
  toSamples(spectrum: Float64Array, at: number, samples: Float64Array): void {
    const length = this.#length, half = this.#half, re = this.#re, im = this.#im;
    const { cos, sin } = this.#outer;
    for (let i = 0; i < half; i++) {
      const even = spectrum[at + 2 * i], odd = spectrum[at + length - 1 - 2 * i];
      const place = this.#places[i];
      re[place] = even * cos[i] - odd * sin[i];
      im[place] = even * sin[i] + odd * cos[i];
    }
    for (let merged = 1; merged < half; merged *= 2) this.#merge(merged);
    // Of a cosine transform (IV) of `length` what is behind its middle comes first; then all of it
    // turned round and below zero, and its beginning, below zero, too.
    const scale = 1 / length;
    for (let i = 0; i < half; i++) {
      this.#put(samples, 2 * i, scale * (re[i] * cos[i] - im[i] * sin[i]));
      this.#put(samples, length - 1 - 2 * i, -scale * (re[i] * sin[i] + im[i] * cos[i]));
    }
  }

  /** Each number of the cosine transform is two samples. */
  #put(samples: Float64Array, place: number, value: number): void {
    const length = this.#length, half = this.#half;
    samples[length + half - 1 - place] = -value;
    if (place >= half) samples[place - half] = value;
    else samples[length + half + place] = -value;
  }

  /** Transforms of so many numbers each become those of twice as many. */
  #merge(merged: number): void {
    const re = this.#re, im = this.#im;
    const { cos, sin } = this.#inner;
    const step = this.#half / (2 * merged);
    for (let begin = 0; begin < this.#half; begin += 2 * merged) {
      for (let i = 0; i < merged; i++) {
        const near = begin + i, far = near + merged;
        const x = re[far] * cos[i * step] - im[far] * sin[i * step];
        const y = re[far] * sin[i * step] + im[far] * cos[i * step];
        re[far] = re[near] - x;
        im[far] = im[near] - y;
        re[near] += x;
        im[near] += y;
      }
    }
  }
}

interface Turns {
  readonly cos: Float64Array;
  readonly sin: Float64Array;
}

function turns(count: number, angle: (i: number) => number): Turns {
  return {
    cos: Float64Array.from({ length: count }, (_, i) => Math.cos(angle(i))),
    sin: Float64Array.from({ length: count }, (_, i) => Math.sin(angle(i))),
  };
}

function mirrored(count: number): Uint16Array {
  return Uint16Array.from({ length: count }, (_, place) => {
    let out = 0;
    for (let bit = 1; bit < count; bit *= 2) out = 2 * out + (place & bit ? 1 : 0);
    return out;
  });
}
