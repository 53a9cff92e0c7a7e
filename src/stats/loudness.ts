/**
 * How loud activations are, |act(gate)|, as a histogram from which a threshold for any wanted share
 * of quiet ones can be read (CATS, arXiv:2404.08763: one threshold a layer). Bins are sixteenths of
 * an octave, from 2^-24 to 2^8.
 */
import { check } from "../base/check.ts";

const BINS_PER_OCTAVE = 16;
const FIRST_EXPONENT = -24;
const OCTAVES = 32;
export const LOUDNESS_BINS = OCTAVES * BINS_PER_OCTAVE;

/** A float's exponent and first four bits of its fraction, as one number, are its bin. */
const FLOAT_BIN_SHIFT = 23 - 4;
const FIRST_FLOAT_BIN = (127 + FIRST_EXPONENT) * BINS_PER_OCTAVE;

const float = new Float32Array(1);
const floatBits = new Uint32Array(float.buffer);

/** The bin of a value; what is beyond an end is in the last one there. */
export function loudnessBin(value: number): number {
  float[0] = value;
  const bin = ((floatBits[0] & 0x7fffffff) >>> FLOAT_BIN_SHIFT) - FIRST_FLOAT_BIN;
  return Math.max(0, Math.min(LOUDNESS_BINS - 1, bin));
}

/** Where a bin begins; the first one holds what is below it, too. */
export function binStart(bin: number): number {
  const octave = Math.floor(bin / BINS_PER_OCTAVE);
  const within = bin % BINS_PER_OCTAVE / BINS_PER_OCTAVE;
  return bin === 0 ? 0 : 2 ** (FIRST_EXPONENT + octave) * (1 + within);
}

/**
 * The loudness that a share of what was counted stays below; 0 for a share of 0.
 * @param bins counts, [LOUDNESS_BINS].
 */
export function loudnessQuantile(bins: Float64Array, share: number): number {
  check(bins.length === LOUDNESS_BINS, "bins of a layer");
  const total = bins.reduce((sum, count) => sum + count, 0);
  let left = share * total;
  if (left <= 0) return 0;
  for (let bin = 0; bin < LOUDNESS_BINS; bin++) {
    if (left <= bins[bin]) {
      const start = binStart(bin);
      return start + (binStart(bin + 1) - start) * left / bins[bin];
    }
    left -= bins[bin];
  }
  return binStart(LOUDNESS_BINS);
}
