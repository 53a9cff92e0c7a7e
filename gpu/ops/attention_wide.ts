/**
 * Attention of heads that ordinary shaders have no room for: wide ones, ones whose values are not
 * as long as keys or are a part of them, and ones whose queries lie in two places.
 */
import { check } from "../../src/base/check.ts";
import { KV_BLOCK_POSITIONS } from "../../src/memory/kv_layout.ts";
import { S } from "../../src/shapes/mod.ts";
import type { KvShape } from "../kv_cache.ts";
import type { Constants } from "../pipelines.ts";
import type { ProgramBuilder } from "../program.ts";
import type { When } from "../step_kinds.ts";
import { bindRows, checkRows } from "../rows.ts";
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

/** The most dimensions of a head that other shaders attend with. */
const NARROW_DIM_MAX = 256;
/** The most dimensions of a value. */
const VALUE_DIM_MAX = 512;

/** Rows of queries that a workgroup has. */
const TILE_MAX = 8;
/** Vec4s of a value that a workgroup's invocations have at once. */
const LANES = 128;
/** The most parts that positions of a block are split into. */
const SPLITS_MAX = 8;

/**
 * The most chunks, and the fewest where there are many heads: what chunks leave takes room, and so
 * many workgroups of a token are enough for any GPU.
 */
const CHUNKS_MAX = 128;
const CHUNKS_MIN = 16;
const WORKGROUPS_ENOUGH = 512;

/** These heads are attended to here. */
export function isWide(
  { headDim, valueDim = headDim, sharesKeys = false }: Pick<
    KvShape,
    "headDim" | "valueDim" | "sharesKeys"
  >,
): boolean {
  return headDim > NARROW_DIM_MAX || valueDim !== headDim || sharesKeys;
}

/** Chunks of a cache, for so many query heads. */
export function wideChunks(positions: number, heads: number): Chunks {
  const wanted = Math.floor(WORKGROUPS_ENOUGH / Math.ceil(heads / TILE_MAX));
  const most = Math.min(CHUNKS_MAX, Math.max(CHUNKS_MIN, wanted));
  return chunksOf(positions, { least: KV_BLOCK_POSITIONS, unit: KV_BLOCK_POSITIONS, most });
}

/** As `attention`: many tokens at once, few ones by chunks of positions. */
export function attentionWide(builder: ProgramBuilder, args: AttentionArgs): void {
  const { heads, groupSize, cache: { valueDim, contextLength } } = args;
  check(!args.alibi, "no family has slopes and such heads");
  check(valueDim <= VALUE_DIM_MAX, `values of ${valueDim} dimensions`);
  checkQueries(args);
  addTiles(builder, args, { tile: TILE_MAX, when: MANY });
  const split = wideChunks(contextLength, heads);
  for (const when of [FEW, APART]) {
    const { isApart } = when;
    const constants: Constants = isApart ? { IS_APART: true } : {};
    // A tile of one token's heads is as high as the group that shares keys.
    const tile = isApart ? Math.min(TILE_MAX, groupSize) : TILE_MAX;
    addTiles(builder, args, { tile, split, when, constants });
    builder.during(when, () => addCombine(builder, args, { ...split, int8: null, constants }));
  }
}

function checkQueries({ x, rest, heads, cache: { headDim } }: AttentionArgs): void {
  if (rest === undefined) return checkRows(x, heads * headDim);
  const { rows, ownDim, ownStride } = rest;
  check(ownDim % 4 === 0 && ownStride % 4 === 0, `queries of ${ownDim} by ${ownStride}`);
  checkRows(x, (heads - 1) * ownStride + ownDim);
  checkRows(rows, heads * (headDim - ownDim));
}

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
  const { to, groupSize, scratch, cache, rest } = args;
  const place: Constants = split
    ? { IS_SPLIT: true, CHUNK: split.chunk, CHUNKS: split.chunks }
    : { TO_START: (to.column ?? 0) / 4, TO_STRIDE: to.stride / 4, ...sinkConstants(args) };
  builder.add({
    kernel: "attention_wide",
    constants: {
      ...constantsOf(builder, args),
      ...valueConstants(args),
      ...queryConstants(args),
      ...place,
      ...{ TILE: tile, IS_F32: cache.type === "f32", ...constants },
    },
    bindings: [
      ...inputsOf(builder, args),
      rest ? bindRows(rest.rows) : { buffer: builder.gpu.sink },
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

/** Where values are, and how many positions' are read side by side. */
function valueConstants({ cache: { headDim, valueDim, sharesKeys } }: AttentionArgs): Constants {
  const fitting = Math.floor(LANES / (valueDim / 4));
  const splits = Math.min(SPLITS_MAX, 2 ** Math.floor(Math.log2(fitting)));
  return {
    VALUE_DIM: valueDim,
    VALUE_ROW: (sharesKeys ? headDim : valueDim) / 4,
    VALUE_START: sharesKeys ? (headDim - valueDim) / 4 : 0,
    SPLITS: splits,
  };
}

function queryConstants({ rest, growth, cache: { headDim } }: AttentionArgs): Constants {
  const own = rest === undefined ? { X_HEAD: headDim / 4, OWN: headDim / 4 } : {
    ...{ X_HEAD: rest.ownStride / 4, OWN: rest.ownDim / 4 },
    ...{ REST_START: (rest.rows.column ?? 0) / 4, REST_STRIDE: rest.rows.stride / 4 },
    REST_HEAD: (headDim - rest.ownDim) / 4,
  };
  if (!growth) return own;
  const { scale, length, first } = growth;
  return { ...own, GROWTH: scale, GROWTH_LENGTH: length, GROWTH_FIRST: first };
}
