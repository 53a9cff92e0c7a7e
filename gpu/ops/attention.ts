/** Attention: queries and keys turned, the cache written in place, softmax over what is seen. */
import { check } from "../../src/base/check.ts";
import { N, S } from "../../src/shapes/mod.ts";
import type { KvCache } from "../kv_cache.ts";
import { INT8_COLUMNS } from "../int8_rows.ts";
import type { Constants } from "../pipelines.ts";
import type { ProgramBuilder, Range, When } from "../program.ts";
import { bindRows, checkRows, type Rows } from "../rows.ts";
import { MANY_TOKENS } from "./matmul.ts";
import type { NormKind } from "./norm.ts";

/** How heads are turned. */
export interface HeadRope {
  /** Into the step input's ropes; of queries another one, where they are made longer. */
  readonly index: number;
  readonly queryIndex?: number;
  /** Left out: keys are turned, too. */
  readonly turnsKeys?: boolean;
  readonly kind: "norm" | "neox";
}

export interface RotateArgs {
  /** Heads of queries, of keys, of values side by side: (heads + 2 · kvHeads) · headDim columns. */
  readonly x: Rows;
  readonly heads: number;
  readonly cache: KvCache;
  /** False: there are queries alone, whose keys and values another layer has. Left out: all. */
  readonly hasKeys?: boolean;
  /** Null: nothing is turned. */
  readonly rope: HeadRope | null;
  /** Heads are normalised, each by itself; left out or null: not. */
  readonly norms?: HeadNorms | null;
}

/** Of queries and of keys. */
export interface HeadNorms {
  readonly kind: NormKind;
  readonly epsilon: number;
  /** Behind the rotation; left out: before it. */
  readonly areTurned?: boolean;
  readonly query: HeadWeight | null;
  readonly key: HeadWeight | null;
  /** Values are, too, without weights; left out: they are not. */
  readonly hasValue?: boolean;
}

interface HeadWeight {
  /** f32 [headDim], the same for all heads, or [heads · headDim] if `weightPerHead`. */
  readonly weight: GPUBuffer;
  readonly weightPerHead: boolean;
}

/** Turns queries and keys in place; writes keys and values to their places in the cache. */
export function rotateAndRemember(builder: ProgramBuilder, args: RotateArgs): void {
  const { x, heads, cache, hasKeys = true, rope, norms } = args;
  const { headDim } = cache;
  const kvHeads = hasKeys ? cache.kvHeads : 0;
  const { input, gpu } = builder;
  const normOf = (of?: HeadWeight | null) => of ? (of.weightPerHead ? 2 : 1) : 0;
  checkRows(x, (heads + 2 * kvHeads) * headDim);
  check(headDim <= HEAD_DIM_MAX, `heads of ${headDim} dimensions`);
  const table = rope === null ? { start: 0, dimensionCount: 0 } : input.ropes[rope.index];
  const queryTable = rope === null ? table : input.ropes[rope.queryIndex ?? rope.index];
  check(queryTable.dimensionCount === table.dimensionCount, "queries turn as keys do");
  builder.add({
    kernel: "rotate_and_remember",
    constants: {
      HEADS: heads,
      KV_HEADS: kvHeads,
      HEAD_DIM: headDim,
      ROTATED: table.dimensionCount,
      IS_NEOX: rope?.kind === "neox",
      KEYS_TURNED: rope?.turnsKeys ?? true,
      IS_F32: cache.type === "f32",
      RECORD: input.recordWords,
      ...{ ROPE_START: table.start, QUERY_START: queryTable.start },
      X_START: x.column ?? 0,
      X_STRIDE: x.stride,
      QUERY_NORM: normOf(norms?.query),
      KEY_NORM: normOf(norms?.key),
      VALUE_NORM: norms?.hasValue ?? false,
      NORMS_TURNED: norms?.areTurned ?? false,
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

/** Slopes of heads, of all that the model has: see `alibiSlopes`. */
export interface AlibiArgs {
  readonly maxBias: number;
  readonly headCount: number;
  /** Number of the first head of `AttentionArgs.x` among them. */
  readonly firstHead: number;
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
  /** Positions come in spans of so many, of which a token sees its own; 0 or left out: of all. */
  readonly span?: number;
  /** Scores fall with distance; null or left out: they do not. */
  readonly alibi?: AlibiArgs | null;
  /** Multiplies query · key. */
  readonly scale: number;
  /** 0 or left out: none. */
  readonly softCap?: number;
  /** f32 [heads]: scores besides, whose values are nothing; null or left out: none. */
  readonly sinks?: GPUBuffer | null;
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
/** The most chunks: what they leave takes room, and is read once more. */
const CHUNKS_MAX = 128;
/** Invocations of a workgroup of `attention_combine`. */
const COMBINE_LANES = 256;

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
  { heads, headDim, positions, maxTokens, sequences = 1 }: {
    heads: number;
    headDim: number;
    /** Of a sequence, at most. */
    positions: number;
    maxTokens: number;
    /** With a token each in a step, at most. */
    sequences?: number;
  },
): number {
  const tokens = Math.min(maxTokens, Math.max(MANY_TOKENS - 1, sequences));
  return tokens * heads * chunksOf(positions, true).chunks * (headDim + 4) * 4;
}

/** to = softmax(scale · queries · keys, sinks) · values, causally. */
export function attention(builder: ProgramBuilder, args: AttentionArgs): void {
  const { x, to, heads, groupSize, headOffset = 0, cache } = args;
  const { kvHeads, headDim, type } = cache;
  checkRows(x, heads * headDim);
  checkRows(to, heads * headDim);
  check(headDim <= HEAD_DIM_MAX, `heads of ${headDim} dimensions`);
  check(builder.input.contextLength >= cache.contextLength, "a sequence has a table");
  check(heads + headOffset <= kvHeads * groupSize, `${heads} heads of ${kvHeads} groups`);
  const many: When = { tokens: [MANY_TOKENS, Infinity], isApart: false };
  addTiles(builder, args, { tile: TILE_MAX, when: many });
  if (type === "f16" && headDim % 8 === 0) addFew(builder, args);
  else addFewByTiles(builder, args);
}

/** Few tokens of one sequence, and tokens of a sequence each. */
const FEW = { tokens: [2, MANY_TOKENS - 1], isApart: false } as const satisfies When;
const APART = { isApart: true } as const satisfies When;
/** The same where there is one, or several. */
const ONE = { ...APART, tokens: [1, 1] } as const satisfies When;
const SEVERAL = { ...APART, tokens: [2, Infinity] } as const satisfies When;

/**
 * Steps with tokens of a sequence each that see up to `most` positions, and with some that see
 * more: these are split, whoever is beside them, and the others are not.
 */
function bySeen(most: number) {
  const longer: Range = [most + 1, Infinity];
  return {
    whole: [{ ...ONE, context: [1, most] }, SEVERAL] as const satisfies readonly When[],
    split: { ...APART, context: longer } as const satisfies When,
  };
}

/** Few tokens by `attention_few`. */
function addFew(builder: ProgramBuilder, args: AttentionArgs): void {
  // Steps with more tokens do not come here: their rows are not in 8 bits yet.
  for (const when of [FEW, APART]) {
    builder.during(when, () => addChunks(builder, args, holdResult(builder, args)));
  }
}

/** Where products read what attention gives in 8 bits; null: not. */
function holdResult(builder: ProgramBuilder, { to, heads, cache: { headDim } }: AttentionArgs) {
  return headDim % INT8_COLUMNS === 0 ? builder.holdInt8(to, "tokens", heads * headDim) : null;
}

/** Chunks of positions, and what they give together. */
function addChunks(builder: ProgramBuilder, args: AttentionArgs, int8: GPUBuffer | null): void {
  const { scratch, groupSize, cache: { kvHeads, contextLength } } = args;
  const split = { ...chunksOf(contextLength, true), int8 };
  for (const isApart of [true, false]) {
    const constants: Constants = isApart ? { IS_APART: true } : {};
    builder.during({ isApart }, () => {
      builder.add({
        kernel: "attention_few",
        constants: {
          ...constantsOf(builder, args),
          ...{ CHUNK: split.chunk, CHUNKS: split.chunks, ...constants },
        },
        bindings: [...inputsOf(builder, args), { buffer: scratch }, builder.input.records],
        workgroups: [
          rowTiles(groupSize, FEW_ROWS, isApart),
          kvHeads,
          S.ceilDiv(split.chunk),
        ],
      });
      addCombine(builder, args, { ...split, constants });
    });
  }
}

/** Workgroups that so many rows of queries each take. */
function rowTiles(groupSize: number, rows: number, isApart: boolean) {
  return isApart ? N.times(Math.ceil(groupSize / rows)) : N.times(groupSize).ceilDiv(rows);
}

/** Rows of queries that a workgroup of `attention_few` has. */
const FEW_ROWS = 4;

/** Few tokens by `attention`, any cache and heads. */
function addFewByTiles(builder: ProgramBuilder, args: AttentionArgs): void {
  const { groupSize, cache: { contextLength } } = args;
  const split = chunksOf(contextLength, false);
  const isLong = contextLength > UNSPLIT_POSITIONS;
  const add = (tile: number, when: When, long: When, constants: [Constants, Constants]) => {
    addTiles(builder, args, { tile, when, constants: constants[0] });
    if (!isLong) return;
    addTiles(builder, args, { tile, split, when: long, constants: constants[1] });
    builder.during(long, () => {
      addCombine(builder, args, { ...split, int8: null, constants: constants[1] });
    });
  };
  const short: When = { ...FEW, context: [1, UNSPLIT_POSITIONS] };
  add(TILE_MAX, short, { ...FEW, context: [UNSPLIT_POSITIONS + 1, Infinity] }, [{}, {}]);
  // A tile of one token's heads is as high as the group that shares keys.
  const tile = Math.min(TILE_MAX, groupSize);
  const { whole, split: long } = bySeen(UNSPLIT_POSITIONS);
  const [one, several] = whole;
  const isApart = { IS_APART: true };
  const seen: [Constants, Constants] = [
    { ...isApart, SEEN_TO: UNSPLIT_POSITIONS },
    { ...isApart, SEEN_FROM: UNSPLIT_POSITIONS + 1 },
  ];
  add(tile, one, long, seen);
  addTiles(builder, args, { tile, when: several, constants: seen[0] });
}

/** `attention` over all positions, or over chunks of them. */
function addTiles(
  builder: ProgramBuilder,
  args: AttentionArgs,
  { tile, split, when, constants = {} }: {
    tile: number;
    split?: { chunk: number; chunks: number };
    when: When;
    constants?: Constants;
  },
): void {
  const { to, groupSize, scratch, cache } = args;
  const place: Constants = split
    ? { IS_SPLIT: true, CHUNK: split.chunk, CHUNKS: split.chunks }
    : { TO_START: (to.column ?? 0) / 4, TO_STRIDE: to.stride / 4, ...sinkConstants(args) };
  builder.add({
    kernel: "attention",
    constants: {
      ...constantsOf(builder, args),
      ...place,
      ...{ TILE: tile, IS_F32: cache.type === "f32", ...constants },
    },
    bindings: [
      ...inputsOf(builder, args),
      split ? { buffer: scratch } : bindRows(to),
      builder.input.records,
      bindSinks(builder, args),
    ],
    workgroups: [
      rowTiles(groupSize, tile, when.isApart === true),
      cache.kvHeads,
      split ? S.ceilDiv(split.chunk) : 1,
    ],
    when,
  });
}

/** What chunks give, together. */
function addCombine(
  builder: ProgramBuilder,
  args: AttentionArgs,
  { chunk, chunks, constants, int8 }: {
    chunk: number;
    chunks: number;
    constants: Constants;
    int8: GPUBuffer | null;
  },
): void {
  const { to, heads, scratch, cache: { headDim } } = args;
  builder.add({
    kernel: "attention_combine",
    constants: {
      ...{ HEADS: heads, HEAD_DIM: headDim, CHUNK: chunk, CHUNKS: chunks, LANES: COMBINE_LANES },
      ...{ TO_INT8: int8 !== null, RECORD: builder.input.recordWords },
      ...{ TO_START: (to.column ?? 0) / 4, TO_STRIDE: to.stride / 4, ...constants },
      ...sinkConstants(args),
    },
    bindings: [
      builder.input.header,
      { buffer: scratch },
      bindRows(to),
      { buffer: int8 ?? builder.gpu.sink },
      builder.input.records,
      bindSinks(builder, args),
    ],
    ...int8 ? { keeps: to } : {},
    workgroups: [heads, N, 1],
  });
}

/** Sinks are for whoever has seen all positions. */
function sinkConstants({ sinks }: AttentionArgs): Constants {
  return sinks ? { HAS_SINKS: true } : {};
}

function alibiConstants({ alibi }: AttentionArgs): Constants {
  if (!alibi) return {};
  const BIAS_HEADS = 2 ** Math.floor(Math.log2(alibi.headCount));
  return { MAX_BIAS: alibi.maxBias, BIAS_HEADS, FIRST_HEAD: alibi.firstHead };
}

function bindSinks({ gpu }: ProgramBuilder, { sinks }: AttentionArgs): GPUBufferBinding {
  return { buffer: sinks ?? gpu.nothing };
}

function constantsOf({ input }: ProgramBuilder, args: AttentionArgs): Constants {
  const { x, heads, groupSize, headOffset = 0, cache: { kvHeads, headDim }, scale } = args;
  return {
    HEADS: heads,
    KV_HEADS: kvHeads,
    HEAD_DIM: headDim,
    GROUP_SIZE: groupSize,
    HEAD_OFFSET: headOffset,
    WINDOW: args.window ?? 0,
    ...args.span ? { SPAN: args.span } : {},
    ...alibiConstants(args),
    RECORD: input.recordWords,
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
