/**
 * Where inputs of products lie in 8 bits: one buffer, filled again for each product by the shader
 * `quantize`. Knows its layout (kernels/parts/int8.wgsl).
 */
import { divExact } from "../src/base/check.ts";
import type { Gpu } from "./device.ts";

/** Columns of a piece. */
export const INT8_COLUMNS = 32;
/** Bytes of a piece: 32 values, their scale, and the sums of both halves. */
const PIECE_BYTES = 48;

/** Bytes of `tokens` rows; columns by 32. */
export function int8RowsBytes(tokens: number, columns: number): number {
  return tokens * divExact(columns, INT8_COLUMNS) * PIECE_BYTES;
}

/** For steps of up to `tokens` tokens and products of up to `columns` columns. */
export async function createInt8Rows(
  gpu: Gpu,
  tokens: number,
  columns: number,
): Promise<GPUBuffer> {
  return await gpu.createBuffer("rows in 8 bits", int8RowsBytes(tokens, columns));
}
