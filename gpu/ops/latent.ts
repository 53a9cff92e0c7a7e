/**
 * What latent attention has beside attention: the key that all heads share, and products of heads
 * with a matrix each.
 */
import { check, divExact } from "../../src/base/check.ts";
import { N } from "../../src/shapes/mod.ts";
import { batchedName } from "../kernels.ts";
import type { KvCache } from "../kv_cache.ts";
import type { Constants } from "../pipelines.ts";
import type { ProgramBuilder } from "../program.ts";
import type { When } from "../step_kinds.ts";
import { bindRows, checkRows, type Rows } from "../rows.ts";
import type { GpuMatrix, MatrixPart } from "../weights/matrix.ts";
import type { HeadRope } from "./attention.ts";
import { constantsOf, FEW_TOKENS, MANY_TOKENS, TILE } from "./matmul.ts";

export interface RememberLatentArgs {
  /** A key a token: what is turned, then the latent. */
  readonly x: Rows;
  /** Of one head. */
  readonly cache: KvCache;
  /** Turns the key's first dimensions. */
  readonly rope: HeadRope;
  /** f32 [dimensions that are not turned], of the latent's norm. */
  readonly weight: GPUBuffer;
  readonly epsilon: number;
}

/** Turns and normalises keys, and writes them to their places in the cache. */
export function rememberLatent(builder: ProgramBuilder, args: RememberLatentArgs): void {
  const { x, cache, rope, weight, epsilon } = args;
  const { input } = builder;
  const { kvHeads, headDim } = cache;
  checkRows(x, headDim);
  check(kvHeads === 1 && cache.sharesKeys === true, "all heads share a key, which has the value");
  const { start, dimensionCount } = input.ropes[rope.index];
  builder.add({
    kernel: "remember_latent",
    constants: {
      ...{ HEAD_DIM: headDim, ROTATED: dimensionCount, IS_NEOX: rope.kind === "neox" },
      ...{ IS_F32: cache.type === "f32", RECORD: input.recordWords, ROPE_START: start },
      ...{ X_START: x.column ?? 0, X_STRIDE: x.stride, EPSILON: epsilon },
    },
    bindings: [
      input.header,
      input.records,
      bindRows(x),
      { buffer: weight },
      { buffer: cache.keys },
    ],
    workgroups: [N, 1, 1],
  });
}

/** Heads of tokens in rows: where the first one begins is the rows' column. */
export interface HeadRows {
  readonly rows: Rows;
  /** f32s from one head to the next; multiple of 4. */
  readonly headStride: number;
}

export interface MultiplyHeadsArgs {
  /** Matrices of all heads one below the other. */
  readonly matrix: GpuMatrix;
  readonly heads: number;
  /** Of each head as many columns as the matrix has. */
  readonly x: HeadRows;
  /** Of each head the rows of a matrix. */
  readonly to: HeadRows;
}

/** The most tokens of a step that shaders can tell from heads: kernels/parts/batched.wgsl. */
const TOKENS_MAX = 65_535;

/** to[head] = matrix[head] · x[head]. */
export function multiplyHeads(builder: ProgramBuilder, args: MultiplyHeadsArgs): void {
  const { matrix, heads, x, to } = args;
  const rows = divExact(matrix.rows, heads);
  const { columns } = matrix;
  check(builder.maxTokens <= TOKENS_MAX, `steps of ${builder.maxTokens} tokens`);
  check([x, to].every(({ headStride }) => headStride % 4 === 0), "heads lie by fours");
  checkRows(x.rows, (heads - 1) * x.headStride + columns);
  checkRows(to.rows, (heads - 1) * to.headStride + rows);
  for (const part of matrix.parts) addPart(builder, args, part, rows);
}

function addPart(
  builder: ProgramBuilder,
  { matrix, x, to }: MultiplyHeadsArgs,
  part: MatrixPart,
  rows: number,
): void {
  const { family } = matrix.format;
  const batch = divExact(part.rows, rows);
  const args = { matrix, x: x.rows, to: to.rows, columnCount: matrix.columns };
  const common: Constants = {
    ...constantsOf(args, { ...part, firstRow: 0 }, { rows, isInt8: false }),
    ...{ BATCH: batch, FIRST_HEAD: divExact(part.firstRow, rows) },
    // Both are in steps of their own.
    ...{ X_STRIDE: 1, X_TOKEN: x.rows.stride / 4, X_HEAD: x.headStride / 4 },
    ...{ TO_STRIDE: 1, TO_TOKEN: to.rows.stride, TO_HEAD: to.headStride },
  };
  const add = (
    kernel: "matvec" | "matmul",
    constants: Constants,
    tile: { rows: number; tokens: number },
    when: When,
  ) =>
    builder.add({
      kernel: batchedName(`${kernel}_${family}`),
      constants: { ...common, ...constants },
      bindings: [
        builder.input.header,
        { buffer: part.codes },
        ...family === "float" ? [] : [{ buffer: part.factors }],
        { buffer: builder.gpu.nothing },
        bindRows(x.rows),
        bindRows(to.rows),
      ],
      workgroups: [Math.ceil(rows / tile.rows), N.ceilDiv(tile.tokens).times(batch), 1],
      when,
    });
  // As in matmul.ts: tokens of a sequence each get the sums that they would get alone.
  for (const isApart of [true, false]) {
    const fewTo = isApart ? Infinity : MANY_TOKENS - 1;
    for (const { tokens: [from, most], TOKENS } of FEW_TOKENS) {
      const when = { tokens: [from, Math.min(most, fewTo)] as const, isApart };
      add("matvec", { TOKENS }, { rows: 4, tokens: TOKENS }, when);
    }
  }
  const most = Math.max(MANY_TOKENS, builder.maxTokens);
  add("matmul", {}, TILE, { tokens: [MANY_TOKENS, most], isApart: false });
}
