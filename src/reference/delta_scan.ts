/**
 * Gated delta rule as formulas, in f64: Yang et al. 2024, "Gated Delta Networks", equation 10: a
 * state forgets, then what a key brings back is corrected towards its value.
 */
import { check } from "../base/check.ts";
import type { Numbers } from "./ops.ts";

/** What a scan reads of n tokens, and the state before them. */
export interface DeltaInput {
  /** [n, groups, states] each; normalised here. */
  readonly q: Numbers;
  readonly k: Numbers;
  /** [n, heads · headDim]. */
  readonly v: Numbers;
  /** Time steps, [n, heads]. */
  readonly dt: Numbers;
  /** Decays, [heads]. */
  readonly a: Numbers;
  /** How much is corrected, before its sigmoid, [n, heads]. */
  readonly beta: Numbers;
  /** [heads · headDim, states]; changed. */
  readonly state: Float64Array;
}

export interface DeltaShape {
  readonly heads: number;
  readonly headDim: number;
  readonly states: number;
  readonly groups: number;
  /** Head h reads group h mod groups, not ⌊h · groups / heads⌋. */
  readonly inTurns: boolean;
  readonly epsilon: number;
}

/**
 * S[t] = exp(dt · a) · S[t − 1]; S[t] += sigmoid(beta) · (v − S[t] · k) ⊗ k;
 * y = S[t] · q / √states,
 * of each head; q and k have a length of 1, but for epsilon.
 *
 * @returns y, [n, heads · headDim].
 */
export function deltaScan(
  { q, k, v, dt, a, beta, state }: DeltaInput,
  { heads, headDim, states, groups, inTurns, epsilon }: DeltaShape,
): Float64Array {
  const width = heads * headDim;
  const n = v.length / width;
  check(heads % groups === 0 && state.length === width * states, "shapes of a scan");
  const out = new Float64Array(n * width);
  for (let t = 0; t < n; t++) {
    for (let head = 0; head < heads; head++) {
      const group = inTurns ? head % groups : Math.floor(head * groups / heads);
      const at = (t * groups + group) * states;
      const [key, query] = [k, q].map((rows) =>
        ofLengthOne(Array.from({ length: states }, (_, s) => rows[at + s]), epsilon)
      );
      const stays = Math.exp(dt[t * heads + head] * a[head]);
      const rate = 1 / (1 + Math.exp(-beta[t * heads + head]));
      for (let channel = head * headDim; channel < (head + 1) * headDim; channel++) {
        const row = state.subarray(channel * states, (channel + 1) * states);
        let known = 0;
        for (let s = 0; s < states; s++) known += row[s] * stays * key[s];
        const delta = rate * (v[t * width + channel] - known);
        let y = 0;
        for (let s = 0; s < states; s++) {
          row[s] = row[s] * stays + delta * key[s];
          y += row[s] * query[s];
        }
        out[t * width + channel] = y / Math.sqrt(states);
      }
    }
  }
  return out;
}

function ofLengthOne(row: readonly number[], epsilon: number): number[] {
  const length = Math.sqrt(row.reduce((sum, x) => sum + x * x, epsilon));
  return row.map((x) => x / length);
}
