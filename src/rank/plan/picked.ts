/**
 * Rows or columns of the file that are picked from several places and lie one behind the other:
 * what plans say of them, and what loading does with them. Knows nothing of why they are picked.
 */
import { rowBytes } from "../../model/dtypes.ts";
import type { HeadRows, MatrixTensor } from "../../model/types.ts";
import type { MatrixPart } from "./plan_layer.ts";
import type { MatrixPlan, Picked } from "./plan_types.ts";
import { eachRange, type Ranges, shiftAll } from "./ranges.ts";
import { lengthOf, type Range } from "./shard.ts";

/** What a matrix is read from; null: its rows and columns are neighbours in the file. */
export function pickedOf(
  { rowStart }: MatrixTensor,
  { columns, isTransposed = false, picked = null }: MatrixPart,
): Picked | null {
  if (picked === null) return null;
  const areRows = isTransposed || columns === undefined;
  return areRows
    ? { axis: "rows", ranges: shiftAll(picked, rowStart) }
    : { axis: "columns", ranges: picked };
}

/** The same of the bias of rows: null, where rows are not what is picked. */
export function pickedOfBias(
  { columns, picked = null, pickedBias = null }: MatrixPart,
): Ranges | null {
  return columns === undefined ? pickedBias ?? picked : null;
}

/** Which rows of its tensor a matrix is read from, were none picked. */
export function fileRows({ rows, columns, isTransposed }: MatrixPlan): Range {
  return isTransposed ? columns : rows;
}

/** File rows that are neighbours, and the place of the first among the matrix's own. */
export function* filePieces(plan: MatrixPlan): Generator<{ rows: Range; place: number }> {
  const { picked } = plan;
  if (picked?.axis !== "rows") return yield { rows: fileRows(plan), place: 0 };
  let place = 0;
  for (const rows of eachRange(picked.ranges)) {
    yield { rows, place };
    place += lengthOf(rows);
  }
}

/** The same, put together: `rowsAtOnce` own rows at a time, at last fewer. */
export function* fileBatches(plan: MatrixPlan, rowsAtOnce: number): Generator<Range[]> {
  let batch: Range[] = [];
  let left = rowsAtOnce;
  for (const { rows: { start: first, end } } of filePieces(plan)) {
    for (let start = first; start < end;) {
      const piece = { start, end: Math.min(end, start + left) };
      batch.push(piece);
      left -= lengthOf(piece);
      start = piece.end;
      if (left > 0) continue;
      yield batch;
      [batch, left] = [[], rowsAtOnce];
    }
  }
  if (batch.length > 0) yield batch;
}

/**
 * Moves picked columns to the beginning of each of the file's rows, whose bytes these are.
 * @returns the matrix as it lies there now.
 */
export function gatherColumns(
  bytes: Uint8Array,
  plan: MatrixPlan,
  { type, fileRowBytes }: { type: string; fileRowBytes: number },
): MatrixPlan {
  const { picked } = plan;
  if (picked?.axis !== "columns") return plan;
  const cuts = [...eachRange(picked.ranges)].map((
    { start, end },
  ) => [rowBytes(type, start), rowBytes(type, end)]);
  const row = new Uint8Array(cuts.reduce((sum, [from, to]) => sum + to - from, 0));
  for (let at = 0; at < bytes.length; at += fileRowBytes) {
    let end = 0;
    for (const [from, to] of cuts) {
      row.set(bytes.subarray(at + from, at + to), end);
      end += to - from;
    }
    bytes.set(row, at);
  }
  return { ...plan, columns: { start: 0, end: lengthOf(plan.columns) } };
}

/** Own heads' rows, where they lie one behind the other. */
export function rowsOfHeads(
  { step, start, count }: HeadRows,
  heads: Range,
): { rows: Range; picked: readonly Range[] | null } {
  if (step === count) {
    return { rows: { start: heads.start * step, end: heads.end * step }, picked: null };
  }
  const picked = Array.from({ length: heads.end - heads.start }, (_, index) => {
    const first = (heads.start + index) * step + start;
    return { start: first, end: first + count };
  });
  return { rows: { start: 0, end: picked.length * count }, picked };
}
