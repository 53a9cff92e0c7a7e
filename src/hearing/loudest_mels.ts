/**
 * The spectrogram of Granite Speech: of every 10 ms the energies in bands by the older formula of
 * mels, as logarithms within 80 dB of the loudest of the whole sound. Knows neither files nor
 * towers.
 */
import { Fourier } from "./fourier.ts";
import { loudLevels } from "./loud_levels.ts";
import { HOP } from "./spectrogram.ts";
import { triangles } from "./triangles.ts";

/** Samples of a window, in whose middle a frame's own place is. */
const WINDOW = 400;
const HALF = WINDOW / 2;

/**
 * [frames, bands], so many frames that rows of `unit` of them are whole: one is left out rather
 * than made, but of a sound that is shorter than a row. Sounds are mirrored at both ends.
 */
export function loudestMels(samples: Float32Array, bands: number, unit: number): Float32Array {
  const all = Math.floor(samples.length / HOP) + 1;
  const frames = Math.max(unit, all - all % unit);
  const fourier = new Fourier(WINDOW);
  const around = mirrored(samples, (frames - 1) * HOP + WINDOW);
  return loudLevels(frames, triangles(bands), (frame) => fourier.powersAt(around, HOP * frame));
}

/** `length` samples from half a window before the first one on; a mirror ends at the other end. */
function mirrored(samples: Float32Array, length: number): Float32Array {
  const last = samples.length - 1;
  const out = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const at = i - HALF;
    const seen = at < 0 ? Math.min(-at, last) : at > last ? Math.max(0, 2 * last - at) : at;
    out[i] = samples[seen] ?? 0;
  }
  return out;
}
