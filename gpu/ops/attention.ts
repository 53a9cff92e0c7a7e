/** Attention: queries and keys turned, the cache written in place, softmax over what is seen. */
import { check } from "../../src/base/check.ts";
import { N, S } from "../../src/shapes/mod.ts";
import type { KvCache } from "../kv_cache.ts";
import type { ProgramBuilder } from "../program.ts";
import { bindRows, checkRows, type Rows } from "../rows.ts";
import { MANY_TOKENS } from "./matmul.ts";

export interface RotateArgs {
  /** Heads of queries, of keys, of values side by side: (heads + 2 · kvHeads) · headDim columns. */
  readonly x: Rows;
  readonly heads: number;
  readonly cache: KvCache;
  /** `index` into the step input's ropes; null: nothing is turned. */
  readonly rope: { readonly index: number; readonly kind: "norm" | "neox" } | null;
}

/** Turns queries and keys in place; writes keys and values to their positions in the cache. */
export function rotateAndRemember(builder: ProgramBuilder, args: RotateArgs): void {
  const { x, heads, cache, rope } = args;
  const { kvHeads, headDim } = cache;
  const { input } = builder;
  checkRows(x, (heads + 2 * kvHeads) * headDim);
  check(headDim <= HEAD_DIM_MAX, `heads of ${headDim} dimensions`);
  const table = rope === null ? { start: 0, dimensionCount: 0 } : input.ropes[rope.index];
  builder.add({
    kernel: "rotate_and_remember",
    constants: {
      HEADS: heads,
      KV_HEADS: kvHeads,
      HEAD_DIM: headDim,
      ROTATED: table.dimensionCount,
      IS_NEOX: rope?.kind === "neox",
      IS_F32: cache.type === "f32",
      RECORD: input.recordWords,
      ROPE_START: table.start,
      X_START: x.column ?? 0,
      X_STRIDE: x.stride,
    },
    bindings: [
      input.header,
      input.records,
      bindRows(x),
      { buffer: cache.keys },
      { buffer: cache.values },
    ],
    workgroups: [heads + 2 * kvHeads, N, 1],
  });
}

export interface AttentionArgs {
  /** Heads of queries side by side. */
  readonly x: Rows;
  /** [tokens, heads · headDim]. */
  readonly to: Rows;
  readonly heads: number;
  /** Query heads that share a key/value head. */
  readonly groupSize: number;
  /** Place of the first query head within its group; left out: 0. */
  readonly headOffset?: number;
  readonly cache: KvCache;
  /** A token sees so many positions, itself included; 0 or left out: all. */
  readonly window?: number;
  /** Multiplies query · key. */
  readonly scale: number;
  /** 0 or left out: none. */
  readonly softCap?: number;
  /** `attentionScratchBytes` or more; all layers may share it. */
  readonly scratch: GPUBuffer;
}

/** The most dimensions of a head that attention computes with. */
export const HEAD_DIM_MAX = 256;

/** Rows of queries that a workgroup has. */
const TILE_MAX = 8;

/** Positions of a chunk, where a few tokens' positions are split over workgroups. */
const CHUNK_POSITIONS = 256;
/** As long as a context is at most this, it is not split. */
const UNSPLIT_POSITIONS = 256;
const CHUNKS_MAX = 128;

/** Positions of a chunk of a cache, and how many chunks. */
function chunksOf(positions: number): { chunk: number; chunks: number } {
  const least = Math.ceil(positions / CHUNKS_MAX);
  const chunk = Math.max(CHUNK_POSITIONS, Math.ceil(least / 64) * 64);
  return { chunk, chunks: Math.ceil(positions / chunk) };
}

/** Bytes that `attention` needs beside its inputs. */
export function attentionScratchBytes(
  { heads, headDim, positions, maxTokens }: {
    heads: number;
    headDim: number;
    positions: number;
    maxTokens: number;
  },
): number {
  const tokens = Math.min(maxTokens, MANY_TOKENS - 1);
  return tokens * heads * chunksOf(positions).chunks * (headDim + 4) * 4;
}

/** to = softmax(scale · queries · keys) · values, causally. */
export function attention(builder: ProgramBuilder, args: AttentionArgs): void {
  const { x, to, heads, groupSize, headOffset = 0, cache, scale } = args;
  const { kvHeads, headDim, positions } = cache;
  checkRows(x, heads * headDim);
  checkRows(to, heads * headDim);
  check(headDim <= HEAD_DIM_MAX, `heads of ${headDim} dimensions`);
  check(heads + headOffset <= kvHeads * groupSize, `${heads} heads of ${kvHeads} groups`);
  const { chunk, chunks } = chunksOf(positions);
  const place = { TO_START: (to.column ?? 0) / 4, TO_STRIDE: to.stride / 4 };
  const constants = {
    HEADS: heads,
    KV_HEADS: kvHeads,
    HEAD_DIM: headDim,
    GROUP_SIZE: groupSize,
    HEAD_OFFSET: headOffset,
    WINDOW: args.window ?? 0,
    SCALE: scale,
    SOFT_CAP: args.softCap ?? 0,
    IS_F32: cache.type === "f32",
    X_START: (x.column ?? 0) / 4,
    X_STRIDE: x.stride / 4,
  };
  const inputs = [
    builder.input.header,
    { buffer: cache.keys },
    { buffer: cache.values },
    bindRows(x),
  ];
  const few = [1, MANY_TOKENS - 1] as const;
  const long = [UNSPLIT_POSITIONS + 1, Infinity] as const;
  // A tile of one token's heads is as high as the group that shares keys.
  const tiles = [
    { tile: Math.min(TILE_MAX, groupSize), tokens: [1, 1] as const },
    { tile: TILE_MAX, tokens: [2, Infinity] as const },
  ];
  for (const { tile, tokens } of tiles) {
    const rows = N.times(groupSize).ceilDiv(tile);
    const whole = { ...constants, ...place, TILE: tile };
    const bindings = [...inputs, bindRows(to)];
    const add = (
      when: { tokens: readonly [number, number]; context?: readonly [number, number] },
    ) =>
      builder.add({
        kernel: "attention",
        constants: whole,
        bindings,
        workgroups: [rows, kvHeads, 1],
        when,
      });
    add({ tokens: within(tokens, few), context: [1, UNSPLIT_POSITIONS] });
    if (tokens[1] >= MANY_TOKENS) add({ tokens: [MANY_TOKENS, Infinity] });
    if (positions <= UNSPLIT_POSITIONS) continue;
    builder.add({
      kernel: "attention",
      constants: { ...constants, TILE: tile, IS_SPLIT: true, CHUNK: chunk, CHUNKS: chunks },
      bindings: [...inputs, { buffer: args.scratch }],
      workgroups: [rows, kvHeads, S.ceilDiv(chunk)],
      when: { tokens: within(tokens, few), context: long },
    });
  }
  if (positions <= UNSPLIT_POSITIONS) return;
  builder.add({
    kernel: "attention_combine",
    constants: { HEADS: heads, HEAD_DIM: headDim, CHUNK: chunk, CHUNKS: chunks, ...place },
    bindings: [builder.input.header, { buffer: args.scratch }, bindRows(to)],
    workgroups: [heads, N, 1],
    when: { tokens: few, context: long },
  });
}

function within(
  a: readonly [number, number],
  b: readonly [number, number],
): readonly [number, number] {
  return [Math.max(a[0], b[0]), Math.min(a[1], b[1])];
}
