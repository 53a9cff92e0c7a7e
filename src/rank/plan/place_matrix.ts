/** Where a matrix or a vector of an arena lies, and which part of a tensor it is. */
import { alignUp } from "../../base/check.ts";
import { COLUMN_ALIGN_BYTES } from "../../memory/column_layout.ts";
import { slabBytes } from "../../memory/sums_layout.ts";
import { FLOAT_ROW_PAD_WEIGHTS, REGION_ALIGN_BYTES } from "../../memory/row_layout.ts";
import type { MatrixTensor, VectorTensor } from "../../model/types.ts";
import type { MatrixLayouts } from "./matrix_layouts.ts";
import { placeAdded } from "./plan_added.ts";
import { pickedOf, pickedOfBias } from "./picked.ts";
import type { MatrixPart } from "./plan_layer.ts";
import { type LimitedWorkspace, placeLimits } from "./plan_limits.ts";
import type { SumsPlan } from "./matrix_types.ts";
import type { MatrixPlan, VectorPlan } from "./plan_types.ts";
import { type Ranges, shift, shiftAll } from "./ranges.ts";
import { lengthOf, type Range } from "./shard.ts";
import { byColumnsRowBytes, isHalf, packedRowBytes } from "./weight_types.ts";

/** Gives bytes of an arena to a tensor. */
export type PlaceBytes = (name: string, sizeBytes: number, alignBytes: number) => number;

/** A range of a vector; left out: all. */
export function placeVector(
  place: PlaceBytes,
  { tensor, start, length }: VectorTensor,
  { range = { start: 0, end: length }, picked = null }: {
    readonly range?: Range;
    readonly picked?: Ranges | null;
  } = {},
): VectorPlan {
  const bytes = alignUp(lengthOf(range), FLOAT_ROW_PAD_WEIGHTS) * 4;
  return {
    tensor,
    range: shift(range, start),
    picked: picked && shiftAll(picked, start),
    offsetBytes: place(tensor, bytes, REGION_ALIGN_BYTES),
  };
}

/** Scratch of products with what lies neuron by neuron, and of those with halves. */
export interface ProductScratch {
  readonly neuronScratch: number;
  readonly widened: number;
  readonly limited: LimitedWorkspace;
}

export const NO_SCRATCH: ProductScratch = {
  ...{ neuronScratch: 0, widened: 0, limited: { f32: 0, q8: 0 } },
};

export function placeMatrix(
  place: PlaceBytes,
  matrix: MatrixTensor,
  part: MatrixPart & { readonly layouts: MatrixLayouts; readonly scratch: ProductScratch },
): MatrixPlan {
  const { tensor, bias, limits } = matrix;
  const { rows = { start: 0, end: matrix.rows }, columns = { start: 0, end: matrix.columns } } =
    part;
  const { layouts } = part;
  const by = (bound: VectorTensor) => placeVector(place, bound);
  const isTransposed = part.isTransposed === true;
  const layout = layouts.layoutOf(matrix, part);
  const type = layouts.keptType(tensor, part, layout);
  const [packed, along] = layout === "neurons" ? [columns, rows] : [rows, columns];
  const rowStrideBytes = layout === "columns"
    ? byColumnsRowBytes(type, lengthOf(along))
    : packedRowBytes(type, lengthOf(along));
  const align = layout === "columns" ? COLUMN_ALIGN_BYTES : REGION_ALIGN_BYTES;
  const isOwn = lengthOf(rows) > 0 && lengthOf(columns) > 0;
  const added = isOwn ? layouts.addedTo(tensor) : [];
  const beside = placeAdded(
    added,
    matrix,
    part,
    (each, of) => placeMatrix(place, each, { ...of, layouts, scratch: part.scratch }),
  );
  return {
    tensor,
    type,
    rows: isTransposed ? rows : shift(rows, matrix.rowStart),
    columns: isTransposed ? shift(columns, matrix.rowStart) : columns,
    picked: pickedOf(matrix, part),
    rowStrideBytes,
    offsetBytes: place(tensor, rowStrideBytes * lengthOf(packed), align),
    bias: bias === null || part.takesBias === false
      ? null
      : placeVector(place, bias, { range: rows, picked: pickedOfBias(part) }),
    layout,
    isTransposed,
    scratchOffsetBytes: layout === "neurons"
      ? part.scratch.neuronScratch
      : isHalf(type)
      ? part.scratch.widened
      : 0,
    ...beside.length > 0 && { added: beside },
    ...isOwn && !isTransposed && layouts.measuresInputs && {
      sums: placeSums(place, tensor, {
        slabCount: layouts.slabsOf(tensor, shift(rows, matrix.rowStart)),
        columns: lengthOf(columns),
        areOfOwnRows: part.readsByRows ?? false,
      }),
    },
    ...limits && { limits: placeLimits(limits, by, part.scratch.limited) },
  };
}

function placeSums(
  place: PlaceBytes,
  tensor: string,
  { columns, ...own }: Omit<SumsPlan, "offsetBytes"> & { readonly columns: number },
): SumsPlan {
  const bytes = own.slabCount * slabBytes(columns);
  return { ...own, offsetBytes: place(`${tensor}.sums`, bytes, REGION_ALIGN_BYTES) };
}

/** Bytes of what a rank has of it: of rows, or of columns where it lies by these. */
export function matrixBytes({ rows, columns, layout, rowStrideBytes }: MatrixPlan): number {
  return lengthOf(layout === "neurons" ? columns : rows) * rowStrideBytes;
}
