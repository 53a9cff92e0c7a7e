/** The short convolution of LFM2 as a formula, in f64. */
import { check } from "../base/check.ts";
import type { Numbers } from "./ops.ts";

/**
 * Each channel by itself, causal:
 * out[t, c] = gate[t, c] · Σ_i weights[c, i] · x[t − taps + 1 + i, c]; before the first position
 * there are zeros.
 *
 * @param x [p0 + n, channels]: earlier positions and the new ones.
 * @param gate [n, channels].
 * @param weights [channels, taps].
 * @returns [n, channels].
 */
export function shortConvolution(
  { x, gate, weights }: { x: Numbers; gate: Numbers; weights: Numbers },
  { p0, channels }: { p0: number; channels: number },
): Float64Array {
  const taps = weights.length / channels;
  const n = gate.length / channels;
  check(x.length === (p0 + n) * channels, "rows of all positions");
  const out = new Float64Array(n * channels);
  for (let t = 0; t < n; t++) {
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let i = 0; i < taps; i++) {
        const position = p0 + t - taps + 1 + i;
        if (position >= 0) sum += weights[c * taps + i] * x[position * channels + c];
      }
      out[t * channels + c] = gate[t * channels + c] * sum;
    }
  }
  return out;
}
