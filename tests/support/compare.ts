/**
 * How far one engine's logits are from another's: the figures of shared/golden/compare.py. Arrays
 * are [n, vocab], row-major.
 */
import { argmax } from "../../src/reference/ops.ts";

/** Logits or probabilities of any precision. */
export type Logits = Float32Array | Float64Array;

/** Σ (a − golden)² / Σ golden². */
export function nmse(a: Logits, golden: Logits): number {
  requireSameLength(a, golden);
  let error = 0;
  let size = 0;
  for (let i = 0; i < golden.length; i++) {
    error += (a[i] - golden[i]) ** 2;
    size += golden[i] ** 2;
  }
  return error / size;
}

/** The largest |a − golden|; NaN when there is a NaN. */
export function maxAbs(a: Logits, golden: Logits): number {
  requireSameLength(a, golden);
  let largest = 0;
  for (let i = 0; i < golden.length; i++) largest = Math.max(largest, Math.abs(a[i] - golden[i]));
  return largest;
}

/** KL(softmax(golden) ‖ softmax(a)) per position, in nats. */
export function kl(a: Logits, golden: Logits, vocab: number): { mean: number; max: number } {
  const divergences = rows(golden, vocab).map((row, t) => {
    const q = logSoftmax(row);
    const p = logSoftmax(rows(a, vocab)[t]);
    return Math.max(0, q.reduce((sum, value, i) => sum + Math.exp(value) * (value - p[i]), 0));
  });
  const sum = divergences.reduce((total, each) => total + each, 0);
  return { mean: sum / divergences.length, max: Math.max(...divergences) };
}

/** The share of positions whose best id is the same. */
export function top1(a: Logits, golden: Logits, vocab: number): number {
  requireSameLength(a, golden);
  const best = rows(a, vocab).map(argmax);
  const expected = rows(golden, vocab).map(argmax);
  return best.filter((id, t) => id === expected[t]).length / expected.length;
}

/**
 * The first greedy step whose gap between best and second best is so small that an error of
 * `maxError` in both may turn them around; `gaps.length` when there is none. Ids are comparable
 * before it only.
 */
export function firstCloseStep(gaps: readonly number[], maxError: number): number {
  const step = gaps.findIndex((gap) => gap < 2 * maxError);
  return step < 0 ? gaps.length : step;
}

/** The last position's logits. */
export function lastRow(logits: Float32Array, vocab: number): Float32Array {
  return logits.subarray(logits.length - vocab);
}

function rows(logits: Logits, vocab: number): Logits[] {
  if (logits.length % vocab !== 0) {
    throw new Error(`${logits.length} logits are no rows of ${vocab}`);
  }
  return Array.from(
    { length: logits.length / vocab },
    (_, t) => logits.subarray(t * vocab, (t + 1) * vocab),
  );
}

function logSoftmax(row: Logits): Float64Array {
  const exact = Float64Array.from(row);
  const largest = Math.max(...exact);
  const sum = exact.reduce((total, value) => total + Math.exp(value - largest), 0);
  return exact.map((value) => value - largest - Math.log(sum));
}

function requireSameLength(a: Logits, golden: Logits): void {
  if (a.length !== golden.length) {
    throw new Error(`${a.length} logits cannot be compared with ${golden.length}`);
  }
}
