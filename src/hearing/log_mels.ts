/**
 * Gemma's spectrogram: of every 10 ms the loudness in bands by the older formula of mels, as
 * logarithms of what is, not of its share of the loudest. Knows neither files nor towers.
 */
import { HOP, RATE } from "./spectrogram.ts";

/** Samples of a window, the first half of which is before a frame's own place. */
const WINDOW = 320;
const HALF = WINDOW / 2;
/** Samples of a transform: behind a window's there are zeros. */
const LENGTH = 512;
const BINS = LENGTH / 2 + 1;
/** What is quieter counts as this. */
const LEVEL_MIN = 1e-3;

/** Frames of so many samples, which end where a window has them all: one of the fewest. */
export function logMelFrames(samples: number): number {
  return Math.max(1, Math.floor((samples - HALF - 1) / HOP) + 1);
}

/** [logMelFrames, bands] of all samples, around which there is silence. */
export function logMels(samples: Float32Array, bands: number): Float32Array {
  const frames = logMelFrames(samples.length);
  const filters = triangles(bands);
  const fourier = new Fourier();
  const out = new Float32Array(frames * bands);
  for (let frame = 0; frame < frames; frame++) {
    const levels = fourier.levelsAt(samples, HOP * frame - HALF);
    for (let band = 0; band < bands; band++) {
      const { first, weights } = filters[band];
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * levels[first + i];
      out[frame * bands + band] = Math.log(Math.max(sum, LEVEL_MIN));
    }
  }
  return out;
}

/** Levels of a window's frequencies, by a transform that halves itself. */
class Fourier {
  readonly #window = Float64Array.from(
    { length: WINDOW },
    (_, i) => 0.5 - 0.5 * Math.cos(2 * Math.PI * i / WINDOW),
  );
  readonly #cosines = turns(Math.cos);
  readonly #sines = turns(Math.sin);
  readonly #re = new Float64Array(LENGTH);
  readonly #im = new Float64Array(LENGTH);
  /** Where a sample begins: its number's bits the other way round. */
  readonly #places = Uint16Array.from({ length: LENGTH }, (_, i) => mirrored(i));
  readonly #levels = new Float64Array(BINS);

  /** [BINS], until the next call. */
  levelsAt(samples: Float32Array, from: number): Float64Array {
    const re = this.#re, im = this.#im, levels = this.#levels;
    re.fill(0);
    im.fill(0);
    for (let i = 0; i < WINDOW; i++) {
      const at = from + i;
      if (at >= 0 && at < samples.length) re[this.#places[i]] = this.#window[i] * samples[at];
    }
    for (let half = 1; half < LENGTH; half *= 2) this.#merge(half);
    for (let bin = 0; bin < BINS; bin++) levels[bin] = Math.hypot(re[bin], im[bin]);
    return levels;
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

function turns(of: (angle: number) => number): Float64Array {
  return Float64Array.from({ length: LENGTH / 2 }, (_, i) => of(2 * Math.PI * i / LENGTH));
}

function mirrored(place: number): number {
  let out = 0;
  for (let bit = 1; bit < LENGTH; bit *= 2) out = 2 * out + (place & bit ? 1 : 0);
  return out;
}

/** Weights of the bins from `first` on. */
interface Triangle {
  readonly first: number;
  readonly weights: Float64Array;
}

/** From one band's middle to the next one's, of the same height. */
function triangles(bands: number): Triangle[] {
  const most = melOf(RATE / 2);
  const edges = Array.from({ length: bands + 2 }, (_, i) => hertzOf(most * i / (bands + 1)));
  return Array.from({ length: bands }, (_, band) => {
    const [low, middle, high] = edges.slice(band, band + 3);
    const weights = Array.from({ length: BINS }, (_, bin) => {
      const hertz = bin * RATE / LENGTH;
      return Math.max(
        0,
        Math.min((hertz - low) / (middle - low), (high - hertz) / (high - middle)),
      );
    });
    const first = Math.max(0, weights.findIndex((weight) => weight > 0));
    const end = weights.findLastIndex((weight) => weight > 0) + 1;
    return { first, weights: Float64Array.from(weights.slice(first, end)) };
  });
}

function melOf(hertz: number): number {
  return 2595 * Math.log10(1 + hertz / 700);
}

function hertzOf(mel: number): number {
  return 700 * (10 ** (mel / 2595) - 1);
}
