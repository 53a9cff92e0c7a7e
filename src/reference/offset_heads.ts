/**
 * Attention whose scores count how many rows and columns of an image a key is away, in windows of
 * it or in the whole, as formulas, in f64.
 */
import { check } from "../base/check.ts";
import type { LayerTensors, ModelConfig } from "../model/mod.ts";
import type { ReferenceGiven } from "./given_rows.ts";
import { filled, type Numbers, softmax } from "./ops.ts";
import type { ReferenceWeights } from "./weights.ts";

/** Rows and columns of patches. */
export interface PatchGrid {
  readonly rows: number;
  readonly columns: number;
}

/** Of patches that come line by line; positions: [n, 3]. */
export function gridOf(positions: ArrayLike<number> | null | undefined): PatchGrid {
  check(positions !== null && positions !== undefined, "it is known where patches are");
  const end = positions.length;
  const grid = { rows: positions[end - 2] + 1, columns: positions[end - 1] + 1 };
  check(grid.rows * grid.columns * 3 === end, "patches of a whole grid");
  return grid;
}

/** [n, heads · headDim] of as many queries, keys and values. */
export function offsetHeads(
  { q, k, v }: Readonly<Record<"q" | "k" | "v", Float64Array>>,
  tensors: LayerTensors,
  { config, index, weights, given }: {
    readonly config: ModelConfig;
    readonly index: number;
    readonly weights: ReferenceWeights;
    readonly given: ReferenceGiven;
  },
): Float64Array {
  const { headCount: heads, headDim, attentionScale } = config;
  const { side, areWindows } = config.layers[index].offsets!;
  const grid = gridOf(given.positions);
  const window = areWindows ? { rows: side, columns: side } : grid;
  const width = heads * headDim;
  const out = new Float64Array(q.length);
  const tableOf = (vector: NonNullable<LayerTensors["offsets"]>["rows"], length: number) =>
    stretched(weights.vector(vector), headDim, 2 * length - 1);
  const ofRows = tableOf(tensors.offsets!.rows, window.rows);
  const ofColumns = tableOf(tensors.offsets!.columns, window.columns);
  // What zeros become.
  const [noKey, noValue] = [tensors.key, tensors.value].map((matrix) =>
    matrix!.bias === null ? new Float64Array(width) : weights.vector(matrix!.bias)
  );
  for (let t = 0; t < grid.rows * grid.columns; t++) {
    const [row, column] = [Math.floor(t / grid.columns), t % grid.columns];
    const top = Math.floor(row / window.rows) * window.rows;
    const left = Math.floor(column / window.columns) * window.columns;
    for (let head = 0; head < heads; head++) {
      const at = head * headDim;
      const query = q.subarray(t * width + at, t * width + at + headDim);
      const values: Numbers[] = [];
      const scores: number[] = [];
      for (let y = top; y < top + window.rows; y++) {
        for (let x = left; x < left + window.columns; x++) {
          const isThere = y < grid.rows && x < grid.columns;
          const from = isThere ? (y * grid.columns + x) * width + at : at;
          const key = (isThere ? k : noKey).subarray(from, from + headDim);
          values.push((isThere ? v : noValue).subarray(from, from + headDim));
          scores.push(
            attentionScale * dot(query, key) +
              dot(query, rowOf(ofRows, row - y + window.rows - 1, headDim)) +
              dot(query, rowOf(ofColumns, column - x + window.columns - 1, headDim)),
          );
        }
      }
      softmax(scores).forEach((weight, i) => {
        for (let j = 0; j < headDim; j++) out[t * width + at + j] += weight * values[i][j];
      });
    }
  }
  return out;
}

function dot(x: Numbers, y: Numbers): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}

function rowOf(table: Float64Array, row: number, length: number): Float64Array {
  return table.subarray(row * length, (row + 1) * length);
}

/** So many rows, [count, d], read between those that are there where these are others. */
function stretched(table: Float32Array, d: number, count: number): Float64Array {
  const found = table.length / d;
  if (found === count) return Float64Array.from(table);
  return filled(count * d, (i) => {
    const [row, number] = [Math.floor(i / d), i % d];
    const place = Math.max(0, Math.min(found - 1, (row + 0.5) * found / count - 0.5));
    const first = Math.floor(place), share = place - first;
    const next = Math.min(found - 1, first + 1);
    return (1 - share) * table[first * d + number] + share * table[next * d + number];
  });
}
