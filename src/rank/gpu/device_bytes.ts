/** Bytes that weights, keys and values take on a GPU: what plans count with. Pure arithmetic. */
import { blockWeights, isQuantType, type WeightType } from "../weight_types.ts";

/** Of quantised types: bits of a code, and weights that share a scale and an offset. */
const CODES: Readonly<Record<string, { readonly bits: number; readonly group: number }>> = {
  Q4_0: { bits: 4, group: 32 },
  Q4_1: { bits: 4, group: 32 },
  Q4_K: { bits: 4, group: 32 },
  Q2_K: { bits: 4, group: 16 },
  Q3_K: { bits: 4, group: 16 },
  MXFP4: { bits: 8, group: 32 },
  Q6_K: { bits: 8, group: 16 },
};
/** All others: a byte a weight, 32 to a group. */
const BYTES = { bits: 8, group: 32 };
/** A scale and an offset, f32 each: where both fit into f16 it is half of it. */
const GROUP_BYTES = 8;

/** Bytes of a matrix of so many weights; quantised ones that lie turned around become floats. */
export function deviceMatrixBytes(
  of: { type: WeightType; rows: number; columns: number; isTransposed: boolean },
): number {
  const { type, rows, columns, isTransposed } = of;
  if (type === "F16") return rows * columns * 2;
  if (!isQuantType(type) || isTransposed) return rows * columns * 4;
  const { bits, group } = CODES[type] ?? BYTES;
  const padded = Math.ceil(columns / blockWeights(type)) * blockWeights(type);
  return rows * (padded * bits / 8 + Math.ceil(padded / group) * GROUP_BYTES);
}

/** Bytes of a layer's keys and values, f16 each or f32. */
export function deviceKvBytes(
  of: { positions: number; kvHeads: number; headDim: number; isFloat: boolean },
): number {
  return 2 * of.positions * of.kvHeads * of.headDim * (of.isFloat ? 4 : 2);
}
