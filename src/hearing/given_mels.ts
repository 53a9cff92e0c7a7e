/**
 * The spectrogram of Parakeet: of every 10 ms the logarithms of energies in bands that its file has
 * weights of, of samples whose high notes were raised, each band of a sound having the mean 0 and
 * the deviation 1. Knows neither files nor towers.
 */
import { BINS, Fourier } from "./fourier.ts";
import { HOP } from "./spectrogram.ts";
import { raised } from "./raised.ts";

/** Added to energies. */
const POWER_ADDED = 2 ** -24;
/** Added to deviations. */
const DEVIATION_ADDED = 1e-5;

/** What a file has: a window, and [bands, BINS]. */
export interface GivenFilters {
  readonly window: Float32Array;
  readonly bands: Float32Array;
}

/** [floor(samples / 160) + 1, bands]; the last one is not counted where bands are made even. */
export function givenMels(samples: Float32Array, { window, bands }: GivenFilters): Float32Array {
  const count = bands.length / BINS;
  const frames = Math.floor(samples.length / HOP) + 1;
  const fourier = new Fourier(window);
  const own = raised(samples);
  const out = new Float32Array(frames * count);
  for (let frame = 0; frame < frames; frame++) {
    const powers = fourier.powersAt(own, HOP * frame - window.length / 2);
    for (let band = 0; band < count; band++) {
      const from = band * BINS;
      let sum = 0;
      for (let bin = 0; bin < BINS; bin++) sum += bands[from + bin] * powers[bin];
      out[frame * count + band] = Math.log(sum + POWER_ADDED);
    }
  }
  for (let band = 0; band < count; band++) even(out.subarray(band), count, Math.max(1, frames - 1));
  return out;
}

/** Every `step`th number, by the mean and the deviation of the first `counted` of them. */
function even(values: Float32Array, step: number, counted: number): void {
  let mean = 0, squares = 0;
  for (let i = 0; i < counted; i++) mean += values[i * step] / counted;
  for (let i = 0; i < counted; i++) squares += (values[i * step] - mean) ** 2;
  const deviation = Math.sqrt(squares / Math.max(1, counted - 1)) + DEVIATION_ADDED;
  for (let i = 0; i < values.length; i += step) values[i] = (values[i] - mean) / deviation;
}
