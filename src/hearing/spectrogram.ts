/**
 * Whisper's spectrogram: of every 10 ms the energy in bands as people hear them (Slaney's mels), as
 * logarithms within 80 dB of the loudest. Knows neither files nor towers.
 */
import { loudLevels } from "./loud_levels.ts";

/** Samples a second. */
export const RATE = 16_000;
/** Samples from one frame to the next. */
export const HOP = 160;
/** Samples of a window, in whose middle a frame's own place is. */
export const WINDOW = 400;

const HALF = WINDOW / 2;
/** Frequencies that a window tells apart, 0 to 8 kHz. */
const BINS = HALF + 1;
const QUARTER = WINDOW / 4;

/**
 * [frames, bands]: frame f is of the samples around HOP · f. Before the sound it is mirrored,
 * behind it there is silence, or it is mirrored, too.
 */
export function spectrogram(
  samples: Float32Array,
  { frames, bands, isMirrored = false }: {
    readonly frames: number;
    readonly bands: number;
    readonly isMirrored?: boolean;
  },
): Float32Array {
  const fourier = new Fourier();
  return loudLevels(
    frames,
    melFilters(bands, WINDOW),
    (frame) => fourier.powersAt(samples, HOP * frame - HALF, isMirrored),
  );
}

/**
 * Powers of a window's frequencies. A real window's transform is cosines of what is even about its
 * middle and sines of what is odd; folding both once more, even frequencies apart from odd ones,
 * leaves a quarter of the products of the definition.
 */
class Fourier {
  readonly #window = Float64Array.from(
    { length: WINDOW },
    (_, i) => 0.5 - 0.5 * Math.cos(2 * Math.PI * i / WINDOW),
  );
  /** [BINS, QUARTER + 1] */
  readonly #cosines = table(Math.cos);
  readonly #sines = table(Math.sin);
  readonly #samples = new Float64Array(WINDOW);
  /** By a frequency's parity. */
  readonly #even = [new Float64Array(QUARTER + 1), new Float64Array(QUARTER + 1)];
  readonly #odd = [new Float64Array(QUARTER + 1), new Float64Array(QUARTER + 1)];
  readonly #powers = new Float64Array(BINS);

  /** [BINS], until the next call. */
  powersAt(samples: Float32Array, from: number, isMirrored: boolean): Float64Array {
    const x = this.#samples;
    const last = samples.length - 1;
    for (let i = 0; i < WINDOW; i++) {
      let at = Math.abs(from + i);
      if (isMirrored && at > last) at = 2 * last - at;
      x[i] = at >= 0 && at <= last ? this.#window[i] * samples[at] : 0;
    }
    this.#fold();
    const powers = this.#powers;
    for (let bin = 0; bin < BINS; bin++) {
      const even = this.#even[bin % 2], odd = this.#odd[bin % 2];
      const row = bin * (QUARTER + 1);
      let re = 0, im = 0;
      for (let i = 0; i <= QUARTER; i++) {
        re += even[i] * this.#cosines[row + i];
        im += odd[i] * this.#sines[row + i];
      }
      powers[bin] = re * re + im * im;
    }
    return powers;
  }

  /** cos(bin · (HALF - i)) is ± cos(bin · i), sin is ∓: + of even frequencies. */
  #fold(): void {
    const x = this.#samples;
    const sum = (i: number) => i === 0 || i === HALF ? x[i] : x[i] + x[WINDOW - i];
    const difference = (i: number) => i === 0 || i === HALF ? 0 : x[i] - x[WINDOW - i];
    for (let i = 0; i <= QUARTER; i++) {
      const isMiddle = i === QUARTER;
      const [near, far] = [sum(i), isMiddle ? 0 : sum(HALF - i)];
      this.#even[0][i] = near + far;
      this.#even[1][i] = near - far;
      const [nearOdd, farOdd] = [difference(i), isMiddle ? 0 : difference(HALF - i)];
      this.#odd[0][i] = nearOdd - farOdd;
      this.#odd[1][i] = nearOdd + farOdd;
    }
  }
}

function table(of: (angle: number) => number): Float64Array {
  return Float64Array.from({ length: BINS * (QUARTER + 1) }, (_, at) => {
    const [bin, i] = [Math.floor(at / (QUARTER + 1)), at % (QUARTER + 1)];
    return of(2 * Math.PI * (bin * i % WINDOW) / WINDOW);
  });
}

/** Weights of the bins from `first` on. */
export interface MelFilter {
  readonly first: number;
  readonly weights: Float64Array;
}

/**
 * Triangles from one band's middle to the next one's, of the same area. length: samples of a
 * transform.
 */
export function melFilters(bands: number, length: number): MelFilter[] {
  const most = melOf(RATE / 2);
  const edges = Array.from({ length: bands + 2 }, (_, i) => hertzOf(most * i / (bands + 1)));
  return Array.from({ length: bands }, (_, band) => {
    const [low, middle, high] = edges.slice(band, band + 3);
    const weightOf = (bin: number) => {
      const hertz = bin * RATE / length;
      const share = Math.min((hertz - low) / (middle - low), (high - hertz) / (high - middle));
      return Math.max(0, share) * 2 / (high - low);
    };
    const weights = Array.from({ length: length / 2 + 1 }, (_, bin) => weightOf(bin));
    const first = Math.max(0, weights.findIndex((weight) => weight > 0));
    const end = weights.findLastIndex((weight) => weight > 0) + 1;
    return { first, weights: Float64Array.from(weights.slice(first, end)) };
  });
}

/** Slaney's: linear up to 1 kHz, logarithms above. */
const LINEAR_HERTZ = 1000;
const HERTZ_OF_MEL = 200 / 3;
const LINEAR_MELS = LINEAR_HERTZ / HERTZ_OF_MEL;
const LOG_STEP = Math.log(6.4) / 27;

function melOf(hertz: number): number {
  if (hertz < LINEAR_HERTZ) return hertz / HERTZ_OF_MEL;
  return LINEAR_MELS + Math.log(hertz / LINEAR_HERTZ) / LOG_STEP;
}

function hertzOf(mel: number): number {
  if (mel < LINEAR_MELS) return mel * HERTZ_OF_MEL;
  return LINEAR_HERTZ * Math.exp((mel - LINEAR_MELS) * LOG_STEP);
}
