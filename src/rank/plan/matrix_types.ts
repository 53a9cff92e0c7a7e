/** Where matrices and vectors of a plan lie, and which part of a tensor they are. */
import type { AddedPlan } from "./plan_added.ts";
import type { UnitPart } from "./gpu_plan_types.ts";
import type { ProductLimitsPlan } from "./plan_limits.ts";
import type { Ranges } from "./ranges.ts";
import type { Range } from "./shard.ts";
import type { WeightType } from "./weight_types.ts";

/**
 * How a matrix lies in an arena: packed rows (src/memory/row_layout.ts); by columns
 * (column_layout.ts), which one token can leave out; or neuron by neuron: its columns as packed
 * rows.
 */
export type MatrixLayout = "rows" | "columns" | "neurons";

/** Rows or columns of a tensor that are not neighbours there, in the order in which they lie. */
export interface Picked {
  readonly axis: "rows" | "columns";
  readonly ranges: Ranges;
}

/** Where sums over what products read are, of so many slabs one behind the other. */
export interface SumsPlan {
  readonly offsetBytes: number;
  readonly slabCount: number;
  /** Other ranks' rows read something else: theirs are added. */
  readonly areOfOwnRows: boolean;
}

/** A block of a matrix: rows × columns of a tensor, how it lies, and what its products get. */
export interface MatrixPlan {
  readonly tensor: string;
  /** The type it is kept in: the tensor's, or F32 where it is widened. */
  readonly type: WeightType;
  /** Of the tensor, dimensions beyond the second are more rows; its columns if `isTransposed`. */
  readonly rows: Range;
  readonly columns: Range;
  /** Which of the tensor these are, where they are not neighbours there: picked.ts; else null. */
  readonly picked: Picked | null;
  readonly offsetBytes: number;
  /** From one packed row to the next; by columns rows have no places, but as many bytes. */
  readonly rowStrideBytes: number;
  /** [rows]: added to products; null also where another rank adds it. */
  readonly bias: VectorPlan | null;
  readonly layout: MatrixLayout;
  /** The tensor holds it as [columns, rows]. */
  readonly isTransposed: boolean;
  /** Scratch of products with a matrix that lies neuron by neuron, or of halves; else 0. */
  readonly scratchOffsetBytes: number;
  /** Of its products. Left out: there are none. */
  readonly limits?: ProductLimitsPlan;
  /** What adapters add to its products. Left out: nothing. */
  readonly added?: readonly AddedPlan[];
  /** Of what its products read: src/memory/sums_layout.ts. Left out: nobody asks. */
  readonly sums?: SumsPlan;
  /** Its bytes are those of a packed file's unit. Left out: the tensor's. */
  readonly ofUnit?: UnitPart;
}

/** A piece of a vector, kept as f32. */
export interface VectorPlan {
  /** It is rows of so many numbers, which lie column by column; left out: as in the file. */
  readonly columns?: number;
  readonly tensor: string;
  readonly range: Range;
  /** As in a matrix, by ranges. */
  readonly picked: Ranges | null;
  readonly offsetBytes: number;
}
