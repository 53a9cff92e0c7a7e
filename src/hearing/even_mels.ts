/**
 * The spectrogram of NVIDIA's encoders: of every 10 ms the logarithms of energies in Slaney's
 * bands, of samples whose high notes were raised, each band of a sound having the mean 0 and the
 * deviation 1. Knows neither files nor towers.
 */
import { Fourier, LENGTH } from "./fourier.ts";
import { raised } from "./raised.ts";
import { HOP, melFilters } from "./spectrogram.ts";

/** Samples of a window, in whose middle a frame's own place is. */
const WINDOW = 400;
/** What is quieter counts as this. */
const POWER_MIN = 2 ** -24;
/** Added to variances. */
const VARIANCE_MIN = 1e-5;

/** [floor(samples / 160) + 1, bands]; the last frame has none of its own, and is of zeros. */
export function evenMels(samples: Float32Array, bands: number): Float32Array {
  const frames = Math.floor(samples.length / HOP);
  const filters = melFilters(bands, LENGTH);
  const fourier = new Fourier(WINDOW);
  const own = raised(samples);
  const out = new Float32Array((frames + 1) * bands);
  for (let frame = 0; frame < frames; frame++) {
    const powers = fourier.powersAt(own, HOP * frame - WINDOW / 2);
    for (let band = 0; band < bands; band++) {
      const { first, weights } = filters[band];
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * powers[first + i];
      out[frame * bands + band] = Math.log(Math.max(sum, POWER_MIN));
    }
  }
  for (let band = 0; band < bands; band++) even(out.subarray(band, frames * bands), bands);
  return out;
}

/** Every `step`th number, the first one among them, by their mean and deviation. */
function even(values: Float32Array, step: number): void {
  const count = Math.ceil(values.length / step);
  let mean = 0, squares = 0;
  for (let i = 0; i < values.length; i += step) mean += values[i] / count;
  for (let i = 0; i < values.length; i += step) squares += (values[i] - mean) ** 2;
  const deviation = Math.sqrt(squares / Math.max(1, count - 1) + VARIANCE_MIN);
  for (let i = 0; i < values.length; i += step) values[i] = (values[i] - mean) / deviation;
}
