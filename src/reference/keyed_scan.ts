/**
 * States that decay key by key, as formulas, in f64: Peng et al. 2025, "RWKV-7 Goose", equation 17.
 */
import { check } from "../base/check.ts";
import { each, filled, type Numbers } from "./ops.ts";
import { sigmoid } from "./routing.ts";

/** What a scan reads of n tokens, and the state before them; of keys [n, heads, states]. */
export interface KeyedInput {
  /** What reads the state. */
  readonly r: Numbers;
  /** How much of it stays. */
  readonly w: Numbers;
  /** Where values go. */
  readonly k: Numbers;
  /** [n, heads · headDim]. */
  readonly v: Numbers;
  /** What is brought back, and where it is taken from. */
  readonly a: Numbers;
  readonly b: Numbers;
  /** [heads · headDim, states]; changed. */
  readonly state: Float64Array;
}

export interface KeyedShape {
  readonly heads: number;
  readonly headDim: number;
  readonly states: number;
}

/**
 * S[t] = w ⊙ S[t − 1] − (S[t − 1] · a) ⊗ b + v ⊗ k; y = S[t] · r, of each head.
 *
 * @returns y, [n, heads · headDim].
 */
export function keyedScan(
  { r, w, k, v, a, b, state }: KeyedInput,
  { heads, headDim, states }: KeyedShape,
): Float64Array {
  const width = heads * headDim;
  check(state.length === width * states, "shapes of a scan");
  const out = new Float64Array(v.length);
  for (let i = 0; i < v.length; i++) {
    const head = Math.floor(i % width / headDim);
    const at = (Math.floor(i / width) * heads + head) * states;
    const row = state.subarray(i % width * states, (i % width + 1) * states);
    let known = 0;
    for (let s = 0; s < states; s++) known += row[s] * a[at + s];
    for (let s = 0; s < states; s++) {
      row[s] = row[s] * w[at + s] - known * b[at + s] + v[i] * k[at + s];
      out[i] += row[s] * r[at + s];
    }
  }
  return out;
}

/**
 * Each row mixed with the row before it: x[t] + weights ⊙ (x[t − 1] − x[t]); before the first one
 * there is nothing.
 *
 * @param x [n, width].
 * @param weights [width].
 */
export function shiftRows(x: Numbers, weights: Numbers): Float64Array {
  const width = weights.length;
  return shiftRowsBy(x, each(x, (_, i) => weights[i % width]), width);
}

/** The same by weights of each row's own, [n, width]. */
export function shiftRowsBy(x: Numbers, weights: Numbers, width: number): Float64Array {
  return Float64Array.from(
    { length: x.length },
    (_, i) => x[i] + weights[i] * ((i < width ? 0 : x[i - width]) - x[i]),
  );
}

/**
 * RWKV-6 (Peng et al. 2024, "Eagle and Finch", equation 18): y = S[t − 1] · r + v · (r · (k ⊙
 * bonus)), then S[t] = w ⊙ S[t − 1] + v ⊗ k. Without a bonus y = S[t] · r / √states.
 *
 * @returns y, [n, heads · headDim].
 */
export function addedScan(
  { r, w, k, v, bonus, state }: Omit<KeyedInput, "a" | "b"> & { readonly bonus: Numbers | null },
  { heads, headDim, states }: KeyedShape,
): Float64Array {
  const width = heads * headDim;
  check(state.length === width * states, "shapes of a scan");
  return filled(v.length, (i) => {
    const head = Math.floor(i % width / headDim);
    const at = (Math.floor(i / width) * heads + head) * states;
    const row = state.subarray(i % width * states, (i % width + 1) * states);
    let y = 0;
    for (let s = 0; s < states; s++) {
      const before = row[s];
      row[s] = before * w[at + s] + v[i] * k[at + s];
      const read = bonus === null
        ? row[s] / Math.sqrt(states)
        : before + v[i] * k[at + s] * bonus[head * states + s];
      y += read * r[at + s];
    }
    return y;
  });
}

/** What a token's key, decay and rate are before they meet a state, [n, heads, states] each. */
export interface KeyedParts {
  readonly k: Numbers;
  readonly w: Numbers;
  readonly rate: Numbers;
}

/**
 * decays exp(−e^(−1/2) · sigmoid(w)), as models are trained with six digits of it; what a key
 * brings back, k ⊙ keyScale with a length of 1 in each head; where that goes from, as much of it as
 * the rate's sigmoid says; and the key itself, smaller where the rate is.
 *
 * @param keyScale [heads · states].
 * @param keyRate [heads · states].
 */
export function prepareKeyed(
  { k, w, rate }: KeyedParts,
  { keyScale, keyRate, states }: { keyScale: Numbers; keyRate: Numbers; states: number },
): Pick<KeyedInput, "k" | "w" | "a" | "b"> {
  const width = keyScale.length;
  const scaled = each(k, (value, i) => value * keyScale[i % width]);
  const a = scaled.map((value, i) => {
    const first = i - i % states;
    const squares = scaled.subarray(first, first + states).reduce((sum, x) => sum + x * x, 0);
    return value / Math.max(Math.sqrt(squares), LENGTH_MIN);
  });
  const rates = each(rate, sigmoid);
  return {
    k: each(k, (value, i) => value * (1 + keyRate[i % width] * (rates[i] - 1))),
    w: each(w, (value) => Math.exp(-DECAY_MOST * sigmoid(value))),
    a,
    b: a.map((value, i) => value * rates[i]),
  };
}

/** What a decay's exponent is at most. */
const DECAY_MOST = 0.606531;
/** Shorter vectors are divided by it. */
const LENGTH_MIN = 1e-12;

/** Each head's v times r · (k ⊙ bonus), [n, heads · headDim]. */
export function keyedBonus(
  { r, k, v, bonus }: { r: Numbers; k: Numbers; v: Numbers; bonus: Numbers },
  { heads, headDim, states }: KeyedShape,
): Float64Array {
  return each(v, (value, i) => {
    const head = Math.floor(i / headDim);
    let sum = 0;
    for (let s = 0; s < states; s++) {
      sum += r[head * states + s] * k[head * states + s] * bonus[(head % heads) * states + s];
    }
    return value * sum;
  });
}
