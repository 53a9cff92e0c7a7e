/**
 * One rank's product of a packed matrix with activations, whatever the matrix's type. Knows which
 * kernel reads which form of activations; knows nothing of layers.
 */
import type { Kernels } from "../../../wasm/kernels.ts";
import { alignUp } from "../../base/check.ts";
import { SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import { slabBytes } from "../../memory/sums_layout.ts";
import type { AddedPlan } from "../plan/plan_added.ts";
import type { ProductLimitsPlan } from "../plan/plan_limits.ts";
import type { MatrixLayout, MatrixPlan, VectorPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";
import {
  columnQuantBytes,
  isQuantType,
  LONG_TOKENS,
  typeId,
  type WeightType,
} from "../plan/weight_types.ts";

/** Activations [n, k] in the forms that kernels read; addresses in the same arena. */
export interface Activations {
  /** f32 [n, stride], stride in elements; columns k .. stride-1 are zero. */
  readonly f32: number;
  readonly stride: number;
  /** The same as q8 tiles; valid only after `quantize`. */
  readonly q8: number;
}

/** A matrix in an arena, ready to be multiplied. */
export interface Matrix {
  readonly type: WeightType;
  /** ggml's number of the type. */
  readonly typeId: number;
  readonly offsetBytes: number;
  readonly rowStrideBytes: number;
  readonly rowCount: number;
  readonly columnCount: number;
  /** f32 [rowCount], or 0: none, or another rank's to add. */
  readonly bias: number;
  /** Unless it lies by rows, one token can leave out columns that it multiplies by zero. */
  readonly layout: MatrixLayout;
  /** Bytes that are not read where a column is left out; 0 where it lies by rows. */
  readonly columnStrideBytes: number;
  /** Scratch of products with a matrix that lies neuron by neuron, or of halves; 0: none. */
  readonly scratch: number;
  /** Address of sums over what its products read (sums_layout.ts); 0: nobody asks. */
  readonly sums: number;
  /** From a slab's sums to the next one's; 0: there is one. */
  readonly slabStrideBytes: number;
  /** Of its products; null: there are none. */
  readonly limits: Limits | null;
  /** What adapters add to its products (added_products.ts); null: nothing. */
  readonly added: readonly Added[] | null;
}

/** What one adapter adds: factor · second · (first · x), of floats by rows. */
export interface Added {
  readonly adapter: number;
  /** Null: 1. */
  readonly factor: number | null;
  readonly first: Matrix;
  readonly second: Matrix;
}

/** Addresses of one number each (0: there is none), and of what a product reads within them. */
export interface Limits {
  readonly inputMin: number;
  readonly inputMax: number;
  readonly outputMin: number;
  readonly outputMax: number;
  readonly input: Activations;
}

export function matrixOf(plan: MatrixPlan): Matrix {
  return {
    type: plan.type,
    typeId: typeId(plan.type),
    offsetBytes: plan.offsetBytes,
    rowStrideBytes: plan.rowStrideBytes,
    rowCount: lengthOf(plan.rows),
    columnCount: lengthOf(plan.columns),
    bias: plan.bias === null ? 0 : plan.bias.offsetBytes,
    layout: plan.layout,
    columnStrideBytes: columnBytes(plan),
    scratch: plan.scratchOffsetBytes,
    ...sumsOf(plan),
    limits: plan.limits === undefined ? null : boundLimits(plan.limits, lengthOf(plan.columns)),
    added: plan.added?.map(boundAdded) ?? null,
  };
}

function sumsOf({ sums, columns }: MatrixPlan): Pick<Matrix, "sums" | "slabStrideBytes"> {
  if (sums === undefined) return { sums: 0, slabStrideBytes: 0 };
  const slabStrideBytes = sums.slabCount === 1 ? 0 : slabBytes(lengthOf(columns));
  return { sums: sums.offsetBytes, slabStrideBytes };
}

/** Some of its rows: of part `index` of several, that lie one behind the other. */
export function partOfRows(matrix: Matrix, index: number, rowCount: number): Matrix {
  return {
    ...matrix,
    offsetBytes: matrix.offsetBytes + index * rowCount * matrix.rowStrideBytes,
    rowCount,
    sums: matrix.sums + index * matrix.slabStrideBytes,
  };
}

function boundAdded({ adapter, factor, first, second }: AddedPlan): Added {
  // A field that was null before keeps its number boxed, ready for the kernels: `Fractions`.
  const bound = { adapter, factor: null as number | null };
  if (factor !== 1) bound.factor = factor;
  return Object.assign(bound, { first: matrixOf(first), second: matrixOf(second) });
}

function boundLimits({ bounds, scratch }: ProductLimitsPlan, columns: number): Limits {
  const at = (vector: VectorPlan | null) => vector === null ? 0 : vector.offsetBytes;
  return {
    ...{ inputMin: at(bounds.inputMin), inputMax: at(bounds.inputMax) },
    ...{ outputMin: at(bounds.outputMin), outputMax: at(bounds.outputMax) },
    input: { ...scratch, stride: alignUp(columns, SUPERBLOCK_WEIGHTS) },
  };
}

/** Nothing: of a layer that has none of it on any rank. */
const NO_MATRIX: Matrix = {
  ...{ type: "F32", typeId: 0, offsetBytes: 0, rowStrideBytes: 0, rowCount: 0, columnCount: 0 },
  ...{ bias: 0, layout: "rows", columnStrideBytes: 0, scratch: 0, limits: null, added: null },
  ...{ sums: 0, slabStrideBytes: 0 },
};

/** A plan's matrix, or one of no rows and no columns. */
export function boundMatrix(plan: MatrixPlan | null): Matrix {
  return plan === null ? NO_MATRIX : matrixOf(plan);
}

/** By columns it is the quants: the factors of the column's block are read anyway. */
function columnBytes({ type, rows, layout, rowStrideBytes }: MatrixPlan): number {
  if (layout === "rows") return 0;
  if (layout === "neurons") return rowStrideBytes;
  return columnQuantBytes(type, lengthOf(rows));
}

/** True when the matrix's kernel reads q8 tiles. */
export function readsQ8(matrix: Matrix): boolean {
  return isQuantType(matrix.type) && matrix.layout !== "neurons";
}

/** Writes the q8 form of the first k columns of n rows of activations. */
export function quantize(kernels: Kernels, x: Activations, n: number, k: number): void {
  kernels.quantize_q8(x.f32, x.stride, n, k, x.q8);
}

/**
 * out[t, r] = Σ_i matrix[r, i] · activations[t, i]; out f32 [n, outStride].
 * @returns how many columns were read.
 */
export function multiply(
  kernels: Kernels,
  m: Matrix,
  x: Activations,
  n: number,
  out: number,
  outStride: number,
): number {
  const { offsetBytes: w, rowStrideBytes: stride, rowCount: rows, columnCount: k } = m;
  if (m.sums !== 0) kernels.add_squares_f32(x.f32, x.stride, n, k, m.sums);
  if (m.layout === "columns") {
    return kernels.matmul_q8_columns(m.typeId, w, rows, k, x.q8, n, out, outStride);
  }
  if (m.layout === "neurons") {
    const { typeId, scratch } = m;
    kernels.matmul_neurons(typeId, w, stride, k, rows, x.f32, x.stride, n, out, outStride, scratch);
    return k;
  }
  if (!isQuantType(m.type) && isLong(m, n)) {
    const { typeId, scratch: s } = m;
    kernels.matmul_long_f32(typeId, w, stride, rows, k, x.f32, x.stride, n, out, outStride, s);
    return k;
  }
  if (!isQuantType(m.type)) multiplyFloats(kernels, m, x.f32, x.stride, n, out, outStride);
  else if (n === 1) kernels.matmul_q8(m.typeId, w, stride, rows, k, x.q8, n, out, outStride);
  else kernels.matmul_q8_few(m.typeId, w, stride, rows, k, x.q8, n, out, outStride);
  return k;
}

/** The same of floats by rows; x: address of f32 [n, xStride]. */
export function multiplyFloats(
  kernels: Kernels,
  { type, offsetBytes: w, rowStrideBytes: stride, rowCount: rows, columnCount: k }: Matrix,
  x: number,
  xStride: number,
  n: number,
  out: number,
  outStride: number,
): void {
  switch (type) {
    case "F16":
      return kernels.matmul_f16_f32(w, stride, rows, k, x, xStride, n, out, outStride);
    case "BF16":
      return kernels.matmul_bf16_f32(w, stride, rows, k, x, xStride, n, out, outStride);
    default:
      return kernels.matmul_f32_f32(w, stride, rows, k, x, xStride, n, out, outStride);
  }
}

/** Columns that these can have. */
const LONG_COLUMNS_MAX = 16384;

function isLong({ scratch, columnCount }: Matrix, n: number): boolean {
  return scratch !== 0 && n >= LONG_TOKENS && columnCount <= LONG_COLUMNS_MAX;
}

/** The same within the matrix's limits, and with its bias. */
export function project(
  kernels: Kernels,
  m: Matrix,
  x: Activations,
  n: number,
  out: number,
  outStride: number,
): number {
  const read = multiplyWithin(kernels, m, x, n, out, outStride);
  if (m.limits !== null) limitOutput(kernels, m.limits, out, outStride, n, m.rowCount);
  if (m.bias !== 0) kernels.add_bias_f32(out, outStride, m.bias, n, m.rowCount);
  return read;
}

/** What is to be added to other ranks' products has limits as a whole only: `limitOutput`. */
export function projectPart(
  kernels: Kernels,
  m: Matrix,
  x: Activations,
  n: number,
  out: number,
  outStride: number,
): number {
  const read = multiplyWithin(kernels, m, x, n, out, outStride);
  if (m.bias !== 0) kernels.add_bias_f32(out, outStride, m.bias, n, m.rowCount);
  return read;
}

/** What is read within the matrix's limits; what comes out as it is. */
function multiplyWithin(
  kernels: Kernels,
  m: Matrix,
  x: Activations,
  n: number,
  out: number,
  outStride: number,
): number {
  const reads = m.limits === null ? x : limitInput(kernels, m, m.limits, x, n);
  return multiply(kernels, m, reads, n, out, outStride);
}

function limitInput(
  kernels: Kernels,
  m: Matrix,
  { inputMin, inputMax, input }: Limits,
  x: Activations,
  n: number,
): Activations {
  const { columnCount: k } = m;
  kernels.clamp_between_f32(x.f32, x.stride, n, k, inputMin, inputMax, input.f32, input.stride);
  if (readsQ8(m)) quantize(kernels, input, n, k);
  return input;
}

/** Products [n, rows] within their limits. */
export function limitOutput(
  kernels: Kernels,
  { outputMin, outputMax }: Limits,
  out: number,
  outStride: number,
  n: number,
  rows: number,
): void {
  if (outputMin === 0 && outputMax === 0) return;
  kernels.clamp_between_f32(out, outStride, n, rows, outputMin, outputMax, out, outStride);
}

/** out f32 [columns] = row `index` of the matrix. `scratch`: any q8 tile that is free. */
export function dequantizeRow(
  kernels: Kernels,
  m: Matrix,
  index: number,
  out: number,
  scratch: number,
): void {
  const row = m.offsetBytes + index * m.rowStrideBytes;
  switch (m.type) {
    case "F16":
      return kernels.dequantize_row_f16(row, m.columnCount, out);
    case "BF16":
      return kernels.dequantize_row_bf16(row, m.columnCount, out);
    case "F32":
      return kernels.dequantize_row_f32(row, m.columnCount, out);
    default:
      return kernels.dequantize_row_q(m.typeId, row, m.columnCount, out, scratch);
  }
}
