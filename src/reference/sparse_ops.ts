/** Formulas of what computes only neurons that fire: the judges of the sparse kernels. */
import { each, type Numbers, type Q8Activations, quantizeQ8 } from "./ops.ts";

/** All i with x[i] > threshold, ascending; NaN fires. */
export function fired(x: Numbers, threshold: number): number[] {
  const list: number[] = [];
  for (let i = 0; i < x.length; i++) if (!(x[i] <= threshold)) list.push(i);
  return list;
}

/** All i with |x[i]| > threshold, ascending; NaN is loud. */
export function loud(x: Numbers, threshold: number): number[] {
  return fired(each(x, Math.abs), threshold);
}

/** x without what is not louder than the threshold. */
export function hush(x: Numbers, threshold: number): Float64Array {
  return each(x, (value) => Math.abs(value) <= threshold ? 0 : value);
}

/** [n] zeros, but values[j] at list[j]. */
export function scatter(values: Numbers, list: readonly number[], n: number): Float64Array {
  const out = new Float64Array(n);
  list.forEach((index, j) => out[index] = values[j]);
  return out;
}

/** out[j] = Σ_i w[list[j], i] · x[i]; w [rows, k], x [k]. */
export function matmulRows(w: Numbers, x: Numbers, list: readonly number[]): Float64Array {
  const k = x.length;
  return each(list, (row) => {
    let sum = 0;
    for (let i = 0; i < k; i++) sum += w[row * k + i] * x[i];
    return sum;
  });
}

/** out[r] = Σ_j values[j] · w[list[j], r]; w [neurons, d]. */
export function sumOfRows(
  w: Numbers,
  { values, list, d }: { values: Numbers; list: readonly number[]; d: number },
): Float64Array {
  const out = new Float64Array(d);
  list.forEach((row, j) => {
    for (let r = 0; r < d; r++) out[r] += values[j] * w[row * d + r];
  });
  return out;
}

/** Rows as blocks of 32 store them: weight (i, r) = levels[i, r] · scales[i, ⌊r / 32⌋]. */
export interface LevelRows {
  /** [neurons, d]. */
  readonly levels: Numbers;
  /** [neurons, ⌈d / 32⌉]. */
  readonly scales: Numbers;
}

/**
 * The same of rows in integers: what a level counts, values[j] · scale, is rounded to int8, of 32
 * rows at a time against the largest of them in a block.
 */
export function sumOfRoundedRows(
  { levels, scales }: LevelRows,
  { values, list, d }: { values: Numbers; list: readonly number[]; d: number },
): Float64Array {
  const out = new Float64Array(d);
  const blocks = Math.ceil(d / 32);
  for (let first = 0; first < list.length; first += 32) {
    const group = list.keys().drop(first).take(32).toArray();
    for (let b = 0; b < blocks; b++) {
      const whole = group.map((j) => Math.fround(values[j] * scales[list[j] * blocks + b]));
      const { quants, scales: [scale] } = quantizeQ8(whole);
      group.forEach((j, i) => {
        for (let r = b * 32; r < Math.min(d, b * 32 + 32); r++) {
          out[r] += quants[i] * scale * levels[list[j] * d + r];
        }
      });
    }
  }
  return out;
}

/** out[r] = Σ of w[r, i] · act[i] over the columns whose quant is not zero; and their count. */
export function matmulColumns(
  w: Numbers,
  activations: Q8Activations,
): { out: Float64Array; read: number } {
  const { quants, scales } = activations;
  const k = quants.length;
  const rows = w.length / k;
  const out = new Float64Array(rows);
  let read = 0;
  quants.forEach((quant, i) => {
    if (quant === 0) return;
    read++;
    for (let r = 0; r < rows; r++) out[r] += w[r * k + i] * quant * scales[i >> 5];
  });
  return { out, read };
}

/**
 * `target`, but row i of `rows` at list[i], of several the last; a number that is no row counts as
 * the last one.
 */
export function scatterRows<T>(
  rows: readonly T[],
  list: readonly number[],
  target: readonly T[],
): T[] {
  const out = [...target];
  list.forEach((row, i) => out[Math.min(row, target.length - 1)] = rows[i]);
  return out;
}
