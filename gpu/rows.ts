/** Activations: f32 rows of tokens in a piece of a buffer. */
import { check } from "../src/base/check.ts";
import { type Expr, N } from "../src/shapes/mod.ts";

/** Where a binding may begin. */
export const ALIGN_BYTES = 256;

/** f32 [tokens, stride], of which an operation uses columns from `column` on. */
export interface Rows {
  readonly buffer: GPUBuffer;
  /** Multiple of 256. */
  readonly offsetBytes: number;
  /** Of all tokens' rows. */
  readonly sizeBytes: number;
  /** f32s from one token's row to the next one's; multiple of 4. */
  readonly stride: number;
  /** Multiple of 4; left out: 0. */
  readonly column?: number;
  /** Rows that a token has, one behind the other; left out: 1. */
  readonly perToken?: number;
}

/** The same rows from `column` on. */
export function fromColumn(rows: Rows, column: number): Rows {
  return { ...rows, column: (rows.column ?? 0) + column };
}

/** The same, bound from there on where a binding may begin: one shader does for all columns. */
export function columnsFrom(rows: Rows, column: number): Rows {
  const bytes = 4 * column;
  if (bytes % ALIGN_BYTES !== 0) return fromColumn(rows, column);
  const { offsetBytes, sizeBytes } = rows;
  return { ...rows, offsetBytes: offsetBytes + bytes, sizeBytes: sizeBytes - bytes };
}

/** Checks what WebGPU and the kernels ask of rows; `columns` are used from the first one on. */
export function checkRows({ offsetBytes, stride, column = 0, sizeBytes }: Rows, columns: number) {
  check(offsetBytes % ALIGN_BYTES === 0, `rows at byte ${offsetBytes} are not aligned to 256`);
  check(stride % 4 === 0 && column % 4 === 0, `stride ${stride}, column ${column}: not by fours`);
  check(column + columns <= stride, `${columns} columns from ${column} on, of ${stride}`);
  check(sizeBytes >= 16 && sizeBytes % 4 === 0, `rows of ${sizeBytes} bytes`);
}

/** How many there are in a step of N tokens. */
export function countRows({ perToken = 1 }: Rows): Expr {
  return N.times(perToken);
}

/** What a bind group is told of rows. */
export function bindRows({ buffer, offsetBytes, sizeBytes }: Rows): GPUBufferBinding {
  return { buffer, offset: offsetBytes, size: sizeBytes };
}

/** X_START and X_STRIDE (or with another letter) in f32s. */
export function placeOf(rows: Rows): { start: number; stride: number } {
  return { start: rows.column ?? 0, stride: rows.stride };
}

/** Two places of a buffer that nobody reads, for whoever could write and does not. */
export function bindNowhere(sink: GPUBuffer): [GPUBufferBinding, GPUBufferBinding] {
  return [{ buffer: sink, offset: 0, size: 256 }, { buffer: sink, offset: 256, size: 256 }];
}
