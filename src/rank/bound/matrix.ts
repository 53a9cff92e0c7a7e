/**
 * One rank's product of a packed matrix with activations, whatever the matrix's type. Knows which
 * kernel reads which form of activations; knows nothing of layers.
 */
import type { Kernels } from "../../../wasm/kernels.ts";
import type { MatrixLayout, MatrixPlan } from "../plan/plan_types.ts";
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
  };
}

/** Nothing: of a layer that has none of it on any rank. */
const NO_MATRIX: Matrix = {
  ...{ type: "F32", typeId: 0, offsetBytes: 0, rowStrideBytes: 0, rowCount: 0, columnCount: 0 },
  ...{ bias: 0, layout: "rows", columnStrideBytes: 0, scratch: 0 },
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
  switch (m.type) {
    case "F16":
      kernels.matmul_f16_f32(w, stride, rows, k, x.f32, x.stride, n, out, outStride);
      break;
    case "BF16":
      kernels.matmul_bf16_f32(w, stride, rows, k, x.f32, x.stride, n, out, outStride);
      break;
    case "F32":
      kernels.matmul_f32_f32(w, stride, rows, k, x.f32, x.stride, n, out, outStride);
      break;
    default:
      if (n === 1) kernels.matmul_q8(m.typeId, w, stride, rows, k, x.q8, n, out, outStride);
      else kernels.matmul_q8_few(m.typeId, w, stride, rows, k, x.q8, n, out, outStride);
  }
  return k;
}

/** Columns that these can have. */
const LONG_COLUMNS_MAX = 16384;

function isLong({ scratch, columnCount }: Matrix, n: number): boolean {
  return scratch !== 0 && n >= LONG_TOKENS && columnCount <= LONG_COLUMNS_MAX;
}

/** The same with the matrix's bias. */
export function project(
  kernels: Kernels,
  m: Matrix,
  x: Activations,
  n: number,
  out: number,
  outStride: number,
): number {
  const read = multiply(kernels, m, x, n, out, outStride);
  if (m.bias !== 0) kernels.add_bias_f32(out, outStride, m.bias, n, m.rowCount);
  return read;
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
