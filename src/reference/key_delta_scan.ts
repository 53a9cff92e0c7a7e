/**
 * The delta rule with a decay for each key's number, as formulas, in f64: Kimi Team 2025, "Kimi
 * Linear", equation 1.
 */
import { check } from "../base/check.ts";
import { each, type Numbers } from "./ops.ts";
import { sigmoid } from "./routing.ts";
import { softplus } from "./state_space.ts";

/** What a scan reads of n tokens, and the state before them. */
export interface KeyDeltaInput {
  /** [n, heads, states] each; normalised here. */
  readonly q: Numbers;
  readonly k: Numbers;
  /** [n, heads · headDim]. */
  readonly v: Numbers;
  /** What is left of each key's number, [n, heads, states]. */
  readonly decay: Numbers;
  /** How much is corrected, before its sigmoid, [n, heads]. */
  readonly beta: Numbers;
  /** [heads · headDim, states]; changed. */
  readonly state: Float64Array;
}

export interface KeyDeltaShape {
  readonly heads: number;
  readonly headDim: number;
  readonly states: number;
  readonly epsilon: number;
}

/**
 * S[t] = decay ⊙ S[t − 1]; S[t] += sigmoid(beta) · (v − S[t] · k) ⊗ k;
 * y = S[t] · q / √states,
 * of each head; q and k have a length of 1, but for epsilon.
 *
 * @returns y, [n, heads · headDim].
 */
export function keyDeltaScan(
  { q, k, v, decay, beta, state }: KeyDeltaInput,
  { heads, headDim, states, epsilon }: KeyDeltaShape,
): Float64Array {
  const width = heads * headDim;
  check(state.length === width * states, "shapes of a scan");
  const [queries, keys] = [q, k].map((rows) => ofLengthOne(rows, { states, epsilon }));
  const out = new Float64Array(v.length);
  for (let i = 0; i < v.length; i++) {
    const head = Math.floor(i % width / headDim);
    const token = Math.floor(i / width);
    const at = (token * heads + head) * states;
    const row = state.subarray(i % width * states, (i % width + 1) * states);
    let known = 0;
    for (let s = 0; s < states; s++) {
      row[s] *= decay[at + s];
      known += row[s] * keys[at + s];
    }
    const delta = sigmoid(beta[token * heads + head]) * (v[i] - known);
    for (let s = 0; s < states; s++) {
      row[s] += delta * keys[at + s];
      out[i] += row[s] * queries[at + s] / Math.sqrt(states);
    }
  }
  return out;
}

/**
 * What is left of each key's number, [n, heads, states]: exp(a · ln(1 + exp(steps))), or
 * exp(floor · σ(|a| · steps)); steps [n, heads, states], a [heads].
 */
export function keyDecays(
  steps: Numbers,
  a: Numbers,
  { states, floor }: { readonly states: number; readonly floor?: number },
): Float64Array {
  return each(steps, (step, i) => {
    const own = a[Math.floor(i / states) % a.length];
    if (floor === undefined) return Math.exp(own * softplus(step));
    return Math.exp(floor * sigmoid(Math.abs(own) * step));
  });
}

/** Each head's row by itself. */
export function ofLengthOne(
  rows: Numbers,
  { states, epsilon }: { states: number; epsilon: number },
): Float64Array {
  const all = Float64Array.from(rows);
  return all.map((value, i) => {
    const first = i - i % states;
    const squares = all.subarray(first, first + states).reduce((sum, x) => sum + x * x, 0);
    return value / Math.sqrt(squares + epsilon);
  });
}
