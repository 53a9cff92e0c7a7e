/** Energies of a sound in bands, as logarithms within 80 dB of the loudest of all. */
import type { MelFilter } from "./spectrogram.ts";

/** What is quieter counts as this. */
const POWER_MIN = 1e-10;
/** Of ten: 80 dB. */
const RANGE = 8;

/**
 * [frames, bands].
 * @param powersOf frequencies' powers of a frame, until the next call.
 */
export function loudLevels(
  frames: number,
  filters: readonly MelFilter[],
  powersOf: (frame: number) => Float64Array,
): Float32Array {
  const bands = filters.length;
  const out = new Float32Array(frames * bands);
  let loudest = -Infinity;
  for (let frame = 0; frame < frames; frame++) {
    const powers = powersOf(frame);
    for (let band = 0; band < bands; band++) {
      const { first, weights } = filters[band];
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * powers[first + i];
      const level = Math.log10(Math.max(sum, POWER_MIN));
      out[frame * bands + band] = level;
      if (level > loudest) loudest = level;
    }
  }
  const floor = loudest - RANGE;
  for (let i = 0; i < out.length; i++) out[i] = (Math.max(out[i], floor) + 4) / 4;
  return out;
}
