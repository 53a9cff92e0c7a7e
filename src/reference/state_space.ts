/**
 * Selective state spaces as formulas, in f64: Gu & Dao 2023, "Mamba", 3.2, and Dao & Gu 2024,
 * "Transformers are SSMs", whose heads are channels that share their decay. And the short
 * convolution in front of them.
 */
import { check } from "../base/check.ts";
import type { Numbers } from "./ops.ts";

/** ln(1 + eˣ), small results as exact as large ones. */
export function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/** x / (1 + exp(−x)). */
function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

/**
 * out[t, c] = silu(bias[c] + Σ_i weights[c, i] · x[t − taps + 1 + i, c]); before the first position
 * there are zeros.
 *
 * @param x [p0 + n, channels]: earlier positions and the new ones.
 * @param weights [channels, taps].
 * @param bias [channels] or null.
 * @returns [n, channels].
 */
export function stateConvolution(
  { x, weights, bias }: { x: Numbers; weights: Numbers; bias: Numbers | null },
  { p0, channels }: { p0: number; channels: number },
): Float64Array {
  const taps = weights.length / channels;
  const n = x.length / channels - p0;
  const out = new Float64Array(n * channels);
  for (let t = 0; t < n; t++) {
    for (let c = 0; c < channels; c++) {
      let sum = bias === null ? 0 : bias[c];
      for (let i = Math.max(0, taps - 1 - p0 - t); i < taps; i++) {
        sum += weights[c * taps + i] * x[(p0 + t - taps + 1 + i) * channels + c];
      }
      out[t * channels + c] = silu(sum);
    }
  }
  return out;
}

/** What a scan reads of n tokens, and the state before them. */
export interface ScanInput {
  /** [n, heads · headDim]. */
  readonly x: Numbers;
  /** Time steps, [n, heads]. */
  readonly dt: Numbers;
  /** Decays, [heads, states] or [heads]. */
  readonly a: Numbers;
  /** What goes in and what comes out, [n, groups, states]. */
  readonly b: Numbers;
  readonly c: Numbers;
  /** What goes around, [heads]. */
  readonly d: Numbers;
  /** [heads · headDim, states]; changed. */
  readonly state: Float64Array;
}

/**
 * h[t] = exp(dt[t] · a) · h[t − 1] + dt[t] · x[t] · b[t]; y[t] = h[t] · c[t] + d · x[t], for each
 * channel; heads of a group are neighbours. The first kind is heads of one channel.
 *
 * @returns y, [n, heads · headDim].
 */
export function selectiveScan(
  { x, dt, a, b, c, d, state }: ScanInput,
  { heads, headDim, groups, states }: {
    heads: number;
    headDim: number;
    groups: number;
    states: number;
  },
): Float64Array {
  const width = heads * headDim;
  const n = x.length / width;
  check(heads % groups === 0 && state.length === width * states, "shapes of a scan");
  const out = new Float64Array(x.length);
  for (let t = 0; t < n; t++) {
    for (let channel = 0; channel < width; channel++) {
      const head = Math.floor(channel / headDim);
      const group = Math.floor(head * groups / heads);
      const at = (t * groups + group) * states;
      const step = dt[t * heads + head];
      const input = x[t * width + channel];
      let y = d[head] * input;
      for (let s = 0; s < states; s++) {
        const decay = a.length === heads ? a[head] : a[head * states + s];
        const i = channel * states + s;
        state[i] = Math.exp(step * decay) * state[i] + step * input * b[at + s];
        y += state[i] * c[at + s];
      }
      out[t * width + channel] = y;
    }
  }
  return out;
}
