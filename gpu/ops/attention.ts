/** Attention: queries and keys turned, the cache written in place, softmax over what is seen. */
import { check } from "../../src/base/check.ts";
import { N, S } from "../../src/shapes/mod.ts";
import { bindCache, headConstants, type KvCache, type QueriesAlone } from "../kv_cache.ts";
import { INT8_COLUMNS } from "../int8_rows.ts";
import { HEAD_DIM_MAX } from "../limits.ts";
import type { Constants } from "../pipelines.ts";
import type { ProgramBuilder } from "../program.ts";
import type { Range, When } from "../step_kinds.ts";
import { bindRows, checkRows, type Rows } from "../rows.ts";
import {
  addCombine,
  APART,
  type AttentionArgs,
  bindSinks,
  type Chunks,
  chunksOf,
  constantsOf,
  FEW,
  inputsOf,
  MANY,
  rowTiles,
  sinkConstants,
} from "./attention_common.ts";
import { addByLast, canEndByLast } from "./attention_last.ts";
import { attentionWide, isWide, wideChunks } from "./attention_wide.ts";
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
  /** Heads of queries, of keys, of values side by side; the latter may be less wide. */
  readonly x: Rows;
  readonly heads: number;
  readonly cache: KvCache | QueriesAlone;
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
  /** Behind weights per head lie as many biases; left out: none. */
  readonly hasBias?: boolean;
}

/** Turns queries and keys in place; writes keys and values to their places in the cache. */
export function rotateAndRemember(builder: ProgramBuilder, args: RotateArgs): void {
  const { x, heads, cache, rope, norms } = args;
  const { kvHeads, headDim } = cache;
  const constants = headConstants(cache);
  const { input, gpu } = builder;
  const normOf = (of?: HeadWeight | null) => of ? (of.weightPerHead ? 2 : 1) : 0;
  checkRows(x, (heads + kvHeads) * headDim + kvHeads * constants.VALUE_DIM);
  check(Math.max(headDim, constants.VALUE_DIM) <= HEAD_DIM_MAX, `heads of ${headDim} dimensions`);
  const table = rope === null ? { start: 0, dimensionCount: 0 } : input.ropes[rope.index];
  const queryTable = rope === null ? table : input.ropes[rope.queryIndex ?? rope.index];
  check(queryTable.dimensionCount === table.dimensionCount, "queries turn as keys do");
  builder.add({
    kernel: "rotate_and_remember",
    constants: {
      HEADS: heads,
      ...constants,
      ROTATED: table.dimensionCount,
      IS_NEOX: rope?.kind === "neox",
      KEYS_TURNED: rope?.turnsKeys ?? true,
      RECORD: input.recordWords,
      ...{ ROPE_START: table.start, QUERY_START: queryTable.start },
      X_START: x.column ?? 0,
      X_STRIDE: x.stride,
      QUERY_NORM: normOf(norms?.query),
      KEY_NORM: normOf(norms?.key),
      QUERY_BIAS: norms?.query?.hasBias ?? false,
      KEY_BIAS: norms?.key?.hasBias ?? false,
      VALUE_NORM: norms?.hasValue ?? false,
      NORMS_TURNED: norms?.areTurned ?? false,
      IS_LAYER: norms?.kind === "layer",
      EPSILON: norms?.epsilon ?? 0,
    },
    bindings: [
      input.header,
      input.records,
      bindRows(x),
      ...bindCache(gpu, cache),
      { buffer: norms?.query?.weight ?? gpu.nothing },
      { buffer: norms?.key?.weight ?? gpu.nothing },
    ],
    workgroups: [heads + 2 * kvHeads, N, 1],
  });
}

/** Rows of queries that a workgroup has. */
const TILE_MAX = 8;

/** As long as a context is at most this, it is not split; by `attention_few` it always is. */
const UNSPLIT_POSITIONS = 256;
/** The most chunks: what they leave takes room, and is read once more. */
const CHUNKS_MAX = 128;
/** Positions of a chunk, where a few tokens' positions are split over workgroups; by 64. */
const TILE_CHUNKS = { least: 256, unit: 64, most: CHUNKS_MAX };
/** The same by `attention_few`, whose block is of 32 positions. */
const FEW_CHUNKS = { least: 32, unit: 32, most: CHUNKS_MAX };

/** Bytes that `attention` needs beside its inputs. */
export function attentionScratchBytes(
  { heads, positions, maxTokens, sequences = 1, ...shape }: {
    heads: number;
    headDim: number;
    /** Left out: as many. */
    valueDim?: number;
    /** Values are a part of keys. */
    sharesKeys?: boolean;
    /** Of a sequence, at most. */
    positions: number;
    maxTokens: number;
    /** With a token each in a step, at most. */
    sequences?: number;
  },
): number {
  const tokens = Math.min(maxTokens, Math.max(MANY_TOKENS - 1, sequences));
  const { chunks } = isWide(shape) ? wideChunks(positions, heads) : chunksOf(positions, FEW_CHUNKS);
  return tokens * heads * chunks * ((shape.valueDim ?? shape.headDim) + 4) * 4;
}

/** to = softmax(scale · queries · keys, sinks) · values, causally. */
export function attention(builder: ProgramBuilder, args: AttentionArgs): void {
  const { x, to, heads, groupSize, headOffset = 0, cache } = args;
  const { kvHeads, headDim, valueDim, type } = cache;
  checkRows(to, heads * valueDim);
  check(builder.input.contextLength >= cache.contextLength, "a sequence has a table");
  check(heads + headOffset <= kvHeads * groupSize, `${heads} heads of ${kvHeads} groups`);
  if (isWide(cache)) return attentionWide(builder, args);
  checkRows(x, heads * headDim);
  check(args.rest === undefined && !args.growth, "ordinary heads have queries side by side");
  addTiles(builder, args, { tile: TILE_MAX, when: MANY });
  if (type === "f16" && headDim % 8 === 0) addFew(builder, args);
  else addFewByTiles(builder, args);
}

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
  const split = { ...chunksOf(contextLength, FEW_CHUNKS), int8 };
  const isByLast = canEndByLast(builder, args, FEW_ROWS);
  for (const isApart of [true, false]) {
    const constants: Constants = isApart ? { IS_APART: true } : {};
    const workgroups = [
      rowTiles(groupSize, FEW_ROWS, isApart),
      kvHeads,
      S.ceilDiv(split.chunk),
    ] as const;
    builder.during({ isApart }, () => {
      if (isByLast) return addByLast(builder, args, { ...split, constants, workgroups });
      builder.add({
        kernel: "attention_few",
        constants: {
          ...constantsOf(builder, args),
          ...{ CHUNK: split.chunk, CHUNKS: split.chunks, ...constants },
        },
        bindings: [...inputsOf(builder, args), { buffer: scratch }, builder.input.records],
        workgroups,
      });
      addCombine(builder, args, { ...split, constants });
    });
  }
}

/** Rows of queries that a workgroup of `attention_few` has. */
const FEW_ROWS = 4;

/** Few tokens by `attention`, any cache and heads. */
function addFewByTiles(builder: ProgramBuilder, args: AttentionArgs): void {
  const { groupSize, cache: { contextLength } } = args;
  const split = chunksOf(contextLength, TILE_CHUNKS);
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
    split?: Chunks;
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
