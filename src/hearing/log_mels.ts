/**
 * Gemma's spectrogram: of every 10 ms the loudness in bands by the older formula of mels, as
 * logarithms of what is, not of its share of the loudest. Knows neither files nor towers.
 */
import { Fourier } from "./fourier.ts";
import { HOP } from "./spectrogram.ts";
import { triangles } from "./triangles.ts";

/** Samples of a window, the first half of which is before a frame's own place. */
const WINDOW = 320;
const HALF = WINDOW / 2;
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
  const fourier = new Fourier(WINDOW);
  const out = new Float32Array(frames * bands);
  for (let frame = 0; frame < frames; frame++) {
    const powers = fourier.powersAt(samples, HOP * frame - HALF);
    for (let band = 0; band < bands; band++) {
      const { first, weights } = filters[band];
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * Math.sqrt(powers[first + i]);
      out[frame * bands + band] = Math.log(Math.max(sum, LEVEL_MIN));
    }
  }
  return out;
}
