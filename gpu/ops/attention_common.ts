/** What all ways to attend have in common: what they are asked, and how chunks are put together. */
import type { QueryTemperature } from "../../src/model/mod.ts";
import { N } from "../../src/shapes/mod.ts";
import type { KvCache } from "../kv_cache.ts";
import type { Constants } from "../pipelines.ts";
import type { ProgramBuilder } from "../program.ts";
import type { When } from "../step_kinds.ts";
import { bindRows, type Rows } from "../rows.ts";
import { MANY_TOKENS } from "./matmul.ts";

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
  /** Where the rest of queries is whose beginning x has; left out: x has all of them. */
  readonly rest?: QueryRest;
  /** [tokens, heads · valueDim]. */
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
  /** An encoder: a token sees what of its text is behind it, too. Left out: it does not. */
  readonly bothWays?: boolean;
  /** Scores fall with distance, of heads that are not wide; null or left out: they do not. */
  readonly alibi?: AlibiArgs | null;
  /** Multiplies query · key. */
  readonly scale: number;
  /** Of `attention_wide`: queries are longer at later positions; null or left out: they are not. */
  readonly growth?: QueryTemperature | null;
  /** 0 or left out: none. */
  readonly softCap?: number;
  /** f32 [heads]: scores besides, whose values are nothing; null or left out: none. */
  readonly sinks?: GPUBuffer | null;
  /** `attentionScratchBytes` or more; all layers may share it. */
  readonly scratch: GPUBuffer;
}

/** Dimensions of queries from `ownDim` on; by fours. */
export interface QueryRest {
  /** [tokens, heads · (headDim − ownDim)]. */
  readonly rows: Rows;
  /** Dimensions that x has. */
  readonly ownDim: number;
  /** f32s from one head of x to the next. */
  readonly ownStride: number;
}

/** Few tokens of one sequence, and tokens of a sequence each. */
export const FEW = { tokens: [2, MANY_TOKENS - 1], isApart: false } as const satisfies When;
export const APART = { isApart: true } as const satisfies When;
export const MANY = { tokens: [MANY_TOKENS, Infinity], isApart: false } as const satisfies When;

/** Chunks of positions: of how many each is, and how many there are. */
export interface Chunks {
  readonly chunk: number;
  readonly chunks: number;
}

/** Positions in at most so many chunks of at least `least`, by `unit`. */
export function chunksOf(
  positions: number,
  { least, unit, most }: { least: number; unit: number; most: number },
): Chunks {
  const chunk = Math.max(least, Math.ceil(positions / most / unit) * unit);
  return { chunk, chunks: Math.ceil(positions / chunk) };
}

/** Workgroups that so many rows of queries each take. */
export function rowTiles(groupSize: number, rows: number, isApart: boolean) {
  return isApart ? N.times(Math.ceil(groupSize / rows)) : N.times(groupSize).ceilDiv(rows);
}

/** Invocations of a workgroup of `attention_combine`. */
export const COMBINE_LANES = 256;

/** What chunks give, together. */
export function addCombine(
  builder: ProgramBuilder,
  args: AttentionArgs,
  { chunk, chunks, constants, int8 }: Chunks & {
    constants: Constants;
    int8: GPUBuffer | null;
  },
): void {
  const { to, heads, scratch, cache: { valueDim } } = args;
  builder.add({
    kernel: "attention_combine",
    constants: {
      ...{ HEADS: heads, HEAD_DIM: valueDim, CHUNK: chunk, CHUNKS: chunks, LANES: COMBINE_LANES },
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
export function sinkConstants({ sinks }: AttentionArgs): Constants {
  return sinks ? { HAS_SINKS: true } : {};
}

function alibiConstants({ alibi }: AttentionArgs): Constants {
  if (!alibi) return {};
  const BIAS_HEADS = 2 ** Math.floor(Math.log2(alibi.headCount));
  return { MAX_BIAS: alibi.maxBias, BIAS_HEADS, FIRST_HEAD: alibi.firstHead };
}

export function bindSinks({ gpu }: ProgramBuilder, { sinks }: AttentionArgs): GPUBufferBinding {
  return { buffer: sinks ?? gpu.nothing };
}

export function constantsOf({ input }: ProgramBuilder, args: AttentionArgs): Constants {
  const { x, heads, groupSize, headOffset = 0, cache: { kvHeads, headDim }, scale } = args;
  return {
    HEADS: heads,
    KV_HEADS: kvHeads,
    HEAD_DIM: headDim,
    GROUP_SIZE: groupSize,
    HEAD_OFFSET: headOffset,
    WINDOW: args.window ?? 0,
    ...args.span ? { SPAN: args.span } : {},
    ...args.bothWays ? { BOTH_WAYS: true } : {},
    ...alibiConstants(args),
    RECORD: input.recordWords,
    SCALE: scale,
    SOFT_CAP: args.softCap ?? 0,
    X_START: (x.column ?? 0) / 4,
    X_STRIDE: x.stride / 4,
  };
}

export function inputsOf(builder: ProgramBuilder, { cache, x }: AttentionArgs): GPUBufferBinding[] {
  return [
    builder.input.header,
    { buffer: cache.keys },
    { buffer: cache.values },
    bindRows(x),
  ];
}
