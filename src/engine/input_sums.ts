/**
 * What all ranks have summed up of what products read, put together tensor by tensor. Where ranks
 * have rows of a matrix, each has seen all columns, and the first one's sums are taken; where they
 * have columns, each has seen its own; where heads multiply their rows by what is their own, sums
 * are added. Knows nothing of what the sums are for.
 */
import type { GgufTensor } from "../gguf/types.ts";
import { piecesOf } from "../rank/load/load_order.ts";
import { filePieces } from "../rank/plan/picked.ts";
import type { MatrixPlan, RankPlan } from "../rank/plan/plan_types.ts";
import { eachRange } from "../rank/plan/ranges.ts";
import { lengthOf } from "../rank/plan/shard.ts";

/** What products with a tensor have read; a tensor of three dimensions is several matrices. */
export interface InputSums {
  readonly name: string;
  readonly columns: number;
  /** Σ of squares, [matrices, columns]. */
  readonly squares: Float64Array;
  /** Of how many rows, [matrices]: of experts those that chose it. */
  readonly counts: Float64Array;
}

/** One rank's sums over a part of a tensor. */
interface Part {
  readonly matrix: MatrixPlan;
  /** Of the tensor's rows its first one. */
  readonly firstRow: number;
  /** [slabs, 1 + own columns]. */
  readonly sums: Float64Array;
}

/** Where ranks' sums are, and of what tensors. */
export interface MeasuredRanks {
  readonly plans: readonly RankPlan[];
  /** [rank][arena] */
  readonly memories: readonly (readonly WebAssembly.Memory[])[];
  readonly tensors: ReadonlyMap<string, Pick<GgufTensor, "dims">>;
}

/** Of every tensor that some product was made with, by names. */
export function gatherInputSums({ plans, memories, tensors }: MeasuredRanks): InputSums[] {
  const parts = new Map<string, Part[]>();
  for (const [rank, plan] of plans.entries()) {
    for (const piece of piecesOf(plan)) {
      if (!("matrix" in piece) || piece.matrix.sums === undefined) continue;
      const { matrix, arena } = piece;
      const part = partOf(matrix, piece.matrix.sums, memories[rank][arena]);
      parts.set(matrix.tensor, [...parts.get(matrix.tensor) ?? [], part]);
    }
  }
  return [...parts]
    .map(([name, own]) => together(name, own, tensors.get(name)!.dims))
    .filter(({ counts }) => counts.some((count) => count > 0))
    .sort((a, b) => a.name < b.name ? -1 : 1);
}

function partOf(
  matrix: MatrixPlan,
  { offsetBytes, slabCount }: NonNullable<MatrixPlan["sums"]>,
  memory: WebAssembly.Memory,
): Part {
  const [first] = filePieces(matrix);
  const length = slabCount * (1 + lengthOf(matrix.columns));
  const sums = new Float64Array(memory.buffer, offsetBytes, length);
  return { matrix, firstRow: first.rows.start, sums };
}

function together(name: string, parts: Part[], [columns, rows, ...others]: readonly number[]) {
  const slabCount = others.reduce((product, dimension) => product * dimension, 1);
  const squares = new Float64Array(slabCount * columns);
  const counts = new Float64Array(slabCount);
  const isTaken = new Uint8Array(slabCount * columns);
  for (const { matrix, firstRow, sums } of parts.sort((a, b) => a.firstRow - b.firstRow)) {
    const width = 1 + lengthOf(matrix.columns);
    const firstSlab = others.length === 0 ? 0 : Math.floor(firstRow / rows);
    for (let own = 0; own < matrix.sums!.slabCount; own++) {
      let next = own * width;
      const count = sums[next++];
      if (count === 0) continue;
      const slab = firstSlab + own;
      const isAdded = matrix.sums!.areOfOwnRows;
      if (isAdded || counts[slab] === 0) counts[slab] += count;
      for (const { start, end } of columnsOf(matrix)) {
        for (let at = slab * columns + start; at < slab * columns + end; at++) {
          const sum = sums[next++];
          if (isTaken[at] === 1 && !isAdded) continue;
          isTaken[at] = 1;
          squares[at] += sum;
        }
      }
    }
  }
  return { name, columns, squares, counts };
}

/** Which of its tensor's columns a matrix has, in its order. */
function columnsOf({ picked, columns }: MatrixPlan) {
  return picked?.axis === "columns" ? eachRange(picked.ranges) : [columns];
}
