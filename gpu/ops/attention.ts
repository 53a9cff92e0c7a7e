/** Attention: queries and keys turned, the cache written in place, softmax over what is seen. */
import { check } from "../../src/base/check.ts";
import { N, S } from "../../src/shapes/mod.ts";
import type { KvCache } from "../kv_cache.ts";
import { INT8_COLUMNS } from "../int8_rows.ts";
import type { Constants } from "../pipelines.ts";
import type { ProgramBuilder, Range } from "../program.ts";
import { bindRows, checkRows, type Rows } from "../rows.ts";
import { MANY_TOKENS } from "./matmul.ts";
import type { NormKind } from "./norm.ts";

export interface RotateArgs {
  /** Heads of queries, of keys, of values side by side: (heads + 2 · kvHeads) · headDim columns. */
  readonly x: Rows;
  readonly heads: number;
  readonly cache: KvCache;
  /** `index` into the step input's ropes; null: nothing is turned. */
  readonly rope: { readonly index: number; readonly kind: "norm" | "neox" } | null;
  /** Heads are normalised first, each by itself; left out or null: not. */
  readonly norms?: HeadNorms | null;
}

/** Of queries and of keys. */
export interface HeadNorms {
  readonly kind: NormKind;
  readonly epsilon: number;
  readonly query: HeadWeight | null;
  readonly key: HeadWeight | null;
}

interface HeadWeight {
  /** f32 [headDim], the same for all heads, or [heads · headDim] if `weightPerHead`. */
  readonly weight: GPUBuffer;
  readonly weightPerHead: boolean;
}

/** Turns queries and keys in place; writes keys and values to their positions in the cache. */
export function rotateAndRemember(builder: ProgramBuilder, args: RotateArgs): void {
  const { x, heads, cache, rope, norms } = args;
  const { kvHeads, headDim } = cache;
  const { input, gpu } = builder;
  const normOf = (of?: HeadWeight | null) => of ? (of.weightPerHead ? 2 : 1) : 0;
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
      QUERY_NORM: normOf(norms?.query),
      KEY_NORM: normOf(norms?.key),
      IS_LAYER: norms?.kind === "layer",
      EPSILON: norms?.epsilon ?? 0,
    },
    bindings: [
      input.header,
      input.records,
      bindRows(x),
      { buffer: cache.keys },
      { buffer: cache.values },
      { buffer: norms?.query?.weight ?? gpu.nothing },
      { buffer: norms?.key?.weight ?? gpu.nothing },
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

/** Positions of a chunk, where a few tokens' positions are split over workgroups; by 64. */
const CHUNK_POSITIONS = 256;
const CHUNK_UNIT = 64;
/** The same by `attention_few`, whose block is of 32 positions. */
const FEW_CHUNK_POSITIONS = 32;
/** As long as a context is at most this, it is not split; by `attention_few` it always is. */
const UNSPLIT_POSITIONS = 256;
/** As many as `attention_combine` has invocations. */
const CHUNKS_MAX = 128;

/** Positions of a chunk of a cache, and how many chunks. */
function chunksOf(positions: number, isFew: boolean): { chunk: number; chunks: number } {
  const [least, unit] = isFew
    ? [FEW_CHUNK_POSITIONS, FEW_CHUNK_POSITIONS]
    : [CHUNK_POSITIONS, CHUNK_UNIT];
  const chunk = Math.max(least, Math.ceil(positions / CHUNKS_MAX / unit) * unit);
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
  return tokens * heads * chunksOf(positions, true).chunks * (headDim + 4) * 4;
}

/** to = softmax(scale · queries · keys) · values, causally. */
export function attention(builder: ProgramBuilder, args: AttentionArgs): void {
  const { x, to, heads, groupSize, headOffset = 0, cache } = args;
  const { kvHeads, headDim, type } = cache;
  checkRows(x, heads * headDim);
  checkRows(to, heads * headDim);
  check(headDim <= HEAD_DIM_MAX, `heads of ${headDim} dimensions`);
  check(heads + headOffset <= kvHeads * groupSize, `${heads} heads of ${kvHeads} groups`);
  addTiles(builder, args, { tile: TILE_MAX, when: { tokens: [MANY_TOKENS, Infinity] } });
  if (type === "f16" && headDim % 8 === 0) addFew(builder, args);
  else addFewByTiles(builder, args);
}

/** Few tokens. */
const FEW: Range = [1, MANY_TOKENS - 1];

/** One token that sees so many positions at most takes one dispatch, where there is room for it. */
const WHOLE = { positions: 1024, lanes: 512, bytes: 32_768 };

/** Few tokens by `attention_whole` and `attention_few`. */
function addFew(builder: ProgramBuilder, args: AttentionArgs): void {
  const { scratch, groupSize, cache, to, heads } = args;
  const { kvHeads, positions, headDim } = cache;
  const { chunk, chunks } = chunksOf(positions, true);
  // Steps with more tokens do not come here: their rows are not in 8 bits yet.
  const int8 = headDim % INT8_COLUMNS === 0
    ? builder.holdInt8(to, "tokens", heads * headDim, { tokensMax: FEW[1] })
    : null;
  const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize } = builder.gpu.limits;
  const isWhole = maxComputeInvocationsPerWorkgroup >= WHOLE.lanes &&
    maxComputeWorkgroupStorageSize >= WHOLE.bytes;
  if (isWhole) addWhole(builder, args, int8);
  const add = (when: { tokens: Range; context?: Range }) => {
    builder.add({
      kernel: "attention_few",
      constants: { ...constantsOf(args), CHUNK: chunk, CHUNKS: chunks },
      bindings: [...inputsOf(builder, args), { buffer: scratch }],
      workgroups: [N.times(groupSize).ceilDiv(FEW_ROWS), kvHeads, S.ceilDiv(chunk)],
      when,
    });
    addCombine(builder, args, { chunk, chunks, int8, when });
  };
  if (!isWhole) return add({ tokens: FEW });
  add({ tokens: [2, FEW[1]] });
  if (positions > WHOLE.positions) {
    add({ tokens: [1, 1], context: [WHOLE.positions + 1, Infinity] });
  }
}

/** One token with not too many positions before it. */
function addWhole(builder: ProgramBuilder, args: AttentionArgs, int8: GPUBuffer | null): void {
  const { to, heads } = args;
  builder.add({
    kernel: "attention_whole",
    constants: {
      ...constantsOf(args),
      ...{ TO_START: (to.column ?? 0) / 4, TO_INT8: int8 !== null, LANES: WHOLE.lanes },
    },
    bindings: [
      ...inputsOf(builder, args),
      bindRows(to),
      { buffer: int8 ?? builder.gpu.sink },
    ],
    ...int8 ? { holds: to } : {},
    workgroups: [heads, 1, 1],
    when: { tokens: [1, 1], context: [1, WHOLE.positions] },
  });
}

/** Rows of queries that a workgroup of `attention_few` has. */
const FEW_ROWS = 4;

/** Few tokens by `attention`, any cache and heads. */
function addFewByTiles(builder: ProgramBuilder, args: AttentionArgs): void {
  const { groupSize, cache: { positions } } = args;
  const { chunk, chunks } = chunksOf(positions, false);
  const long: Range = [UNSPLIT_POSITIONS + 1, Infinity];
  // A tile of one token's heads is as high as the group that shares keys.
  const tiles: readonly { tile: number; tokens: Range }[] = [
    { tile: Math.min(TILE_MAX, groupSize), tokens: [1, 1] },
    { tile: TILE_MAX, tokens: [2, FEW[1]] },
  ];
  for (const { tile, tokens } of tiles) {
    addTiles(builder, args, { tile, when: { tokens, context: [1, UNSPLIT_POSITIONS] } });
    if (positions <= UNSPLIT_POSITIONS) continue;
    addTiles(builder, args, { tile, split: { chunk, chunks }, when: { tokens, context: long } });
  }
  if (positions <= UNSPLIT_POSITIONS) return;
  addCombine(builder, args, { chunk, chunks, when: { tokens: FEW, context: long } });
}

/** `attention` over all positions, or over chunks of them. */
function addTiles(
  builder: ProgramBuilder,
  args: AttentionArgs,
  { tile, split, when }: {
    tile: number;
    split?: { chunk: number; chunks: number };
    when: { tokens: Range; context?: Range };
  },
): void {
  const { to, groupSize, scratch, cache } = args;
  const place: Constants = split
    ? { IS_SPLIT: true, CHUNK: split.chunk, CHUNKS: split.chunks }
    : { TO_START: (to.column ?? 0) / 4, TO_STRIDE: to.stride / 4 };
  builder.add({
    kernel: "attention",
    constants: {
      ...constantsOf(args),
      ...place,
      ...{ TILE: tile, IS_F32: cache.type === "f32" },
    },
    bindings: [...inputsOf(builder, args), split ? { buffer: scratch } : bindRows(to)],
    workgroups: [
      N.times(groupSize).ceilDiv(tile),
      cache.kvHeads,
      split ? S.ceilDiv(split.chunk) : 1,
    ],
    when,
  });
}

/** What chunks give, together. */
function addCombine(
  builder: ProgramBuilder,
  { to, heads, scratch, cache: { headDim } }: AttentionArgs,
  { chunk, chunks, when, int8 = null }: {
    chunk: number;
    chunks: number;
    int8?: GPUBuffer | null;
    when: { tokens: Range; context?: Range };
  },
): void {
  builder.add({
    kernel: "attention_combine",
    constants: {
      ...{ HEADS: heads, HEAD_DIM: headDim, CHUNK: chunk, CHUNKS: chunks, LANES: CHUNKS_MAX },
      TO_INT8: int8 !== null,
      ...{ TO_START: (to.column ?? 0) / 4, TO_STRIDE: to.stride / 4 },
    },
    bindings: [
      builder.input.header,
      { buffer: scratch },
      bindRows(to),
      { buffer: int8 ?? builder.gpu.sink },
    ],
    ...int8 ? { holds: to } : {},
    workgroups: [heads, N, 1],
    when,
  });
}

function constantsOf(args: AttentionArgs): Constants {
  const { x, heads, groupSize, headOffset = 0, cache: { kvHeads, headDim }, scale } = args;
  return {
    HEADS: heads,
    KV_HEADS: kvHeads,
    HEAD_DIM: headDim,
    GROUP_SIZE: groupSize,
    HEAD_OFFSET: headOffset,
    WINDOW: args.window ?? 0,
    SCALE: scale,
    SOFT_CAP: args.softCap ?? 0,
    X_START: (x.column ?? 0) / 4,
    X_STRIDE: x.stride / 4,
  };
}

function inputsOf(builder: ProgramBuilder, { cache, x }: AttentionArgs): GPUBufferBinding[] {
  return [
    builder.input.header,
    { buffer: cache.keys },
    { buffer: cache.values },
    bindRows(x),
  ];
}
