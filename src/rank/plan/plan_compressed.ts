/**
 * A rank's share of heads whose keys are compressed: what makes queries and keys whole on every
 * rank that has heads, whole groups of heads, and what a step and the cache need. Pure arithmetic.
 */
import { alignUp } from "../../base/check.ts";
import { KV_BLOCK_POSITIONS } from "../../memory/kv_layout.ts";
import { SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import type { CompressorTensors } from "../../model/compressed_types.ts";
import type { CompressedTensors, ModelConfig } from "../../model/types.ts";
import { N } from "../../shapes/mod.ts";
import { kvBytes, tableBlocks } from "./kv_bytes.ts";
import type { IndexerSizes } from "./plan_indexer.ts";
import type { Placer } from "./plan_layer.ts";
import type { KvType, MatrixPlan, VectorPlan } from "./plan_types.ts";
import type { StepGraphInput, StepTensor } from "./step_graph.ts";
import { lengthOf, type Range, scale } from "./shard.ts";

/** Tokens that a key of several has at least. */
const LEAST_RATIO = 4;

/** Weights of `CompressorTensors`. */
export interface CompressorPlan {
  readonly key: MatrixPlan;
  readonly gate: MatrixPlan;
  readonly places: VectorPlan;
  readonly norm: VectorPlan;
}

/** Weights of `CompressedTensors`. */
export interface CompressedPlan {
  readonly queryDown: { readonly matrix: MatrixPlan; readonly norm: VectorPlan };
  /** Rows of own groups. */
  readonly groups: MatrixPlan;
  readonly keys: CompressorPlan | null;
  readonly indexer: {
    readonly query: MatrixPlan;
    readonly weights: MatrixPlan;
    readonly keys: CompressorPlan;
  } | null;
}

/** Where a step's intermediates of such heads are, f32 unless said. */
export interface CompressedWorkspace {
  /** What queries are made of, [n, stride], and what groups of heads give, [n, stride]. */
  readonly down: number;
  readonly merged: number;
  /** One of them at a time as q8 tiles. */
  readonly q8: number;
}

export function planCompressed(
  place: Placer,
  tensors: CompressedTensors | undefined,
  { config, heads }: { readonly config: ModelConfig; readonly heads: Range },
): CompressedPlan | null {
  if (tensors === undefined) return null;
  const whole = lengthOf(heads) === 0 ? { rows: { start: 0, end: 0 } } : {};
  const compressor = ({ key, gate, places, norm }: CompressorTensors): CompressorPlan => ({
    ...{ key: place.matrix(key, whole), gate: place.matrix(gate, whole) },
    ...{ places: place.vector(places), norm: place.vector(norm) },
  });
  const { queryDown, groups, keys, indexer } = tensors;
  return {
    queryDown: {
      matrix: place.matrix(queryDown.matrix, whole),
      norm: place.vector(queryDown.norm),
    },
    groups: place.matrix(groups, { rows: groupRows(config, heads), readsByRows: true }),
    keys: keys && compressor(keys),
    indexer: indexer && {
      query: place.matrix(indexer.query, whole),
      weights: place.matrix(indexer.weights, whole),
      keys: compressor(indexer.keys),
    },
  };
}

/** Of what groups give, those of own heads: heads are cut between groups. */
export function groupRows(config: ModelConfig, heads: Range): Range {
  const { groupCount, groupLength } = config.compression!;
  const size = config.headCount / groupCount;
  return scale({ start: heads.start / size, end: heads.end / size }, groupLength);
}

/** Elements from one token to the next. */
export function compressedStrides(
  { compression }: ModelConfig,
): { readonly down: number; readonly merged: number } {
  const { queryLength, groupCount, groupLength } = compression!;
  return {
    down: alignUp(queryLength, SUPERBLOCK_WEIGHTS),
    merged: alignUp(groupCount * groupLength, SUPERBLOCK_WEIGHTS),
  };
}

/** How a layer's cache beside keys lies: floats of one block of 32 positions. */
export interface KeptLayout {
  readonly ratio: number;
  /** Of a token: what is averaged, and as many that weigh it; the same of an indexer. */
  readonly width: number;
  readonly indexedWidth: number;
  readonly rowFloats: number;
  /** Compressed keys of a block, which ends where they do; where they and an indexer's begin. */
  readonly keys: number;
  readonly keysAt: number;
  readonly indexedAt: number;
  readonly blockFloats: number;
}

/** Null: the layer compresses nothing. */
export function keptLayout(config: ModelConfig, layer: number): KeptLayout | null {
  const ratio = config.layers[layer].keyRatio;
  if (ratio === undefined) return null;
  const { headDim, compression } = config;
  const overlaps = ratio === LEAST_RATIO;
  const width = overlaps ? 2 * headDim : headDim;
  const dims = overlaps ? compression!.indexer.headDim : 0;
  const rowFloats = 2 * width + 4 * dims;
  const keys = Math.max(1, KV_BLOCK_POSITIONS / ratio);
  const keysAt = KV_BLOCK_POSITIONS * rowFloats;
  const indexedAt = keysAt + keys * headDim;
  const blockFloats = indexedAt + keys * dims;
  const indexedWidth = 2 * dims;
  return { ratio, width, indexedWidth, rowFloats, keys, keysAt, indexedAt, blockFloats };
}

/** Bytes of what a layer keeps beside keys and values, in so many blocks. */
export function keptBytes(config: ModelConfig, layer: number, blocks: number): number {
  return 4 * blocks * (keptLayout(config, layer)?.blockFloats ?? 0);
}

/** Most compressed keys that a token of a layer attends to, and of which an indexer chooses. */
export function compressedKeys(
  { layers, compression }: ModelConfig,
  contextLength: number,
): { readonly attended: number; readonly scored: number } {
  const { keyCount } = compression!.indexer;
  let attended = 0, scored = 0;
  for (const { keyRatio: ratio } of layers) {
    if (ratio === undefined) continue;
    const all = Math.floor(contextLength / ratio);
    attended = Math.max(attended, ratio === LEAST_RATIO ? Math.min(all, keyCount) : all);
    if (ratio === LEAST_RATIO) scored = all;
  }
  return { attended, scored };
}

/** Tokens' own keys that one attends to. */
export function windowOf({ layers }: ModelConfig, contextLength: number): number {
  return Math.min(contextLength, layers[0].slidingWindow);
}

/** Numbers in a list of keys: of a window, or of those that an indexer chooses. */
export function listLength(config: ModelConfig, contextLength: number): number {
  const { scored } = compressedKeys(config, contextLength);
  // A file may say any number of those.
  const chosen = Math.min(config.compression!.indexer.keyCount, scored);
  return Math.max(windowOf(config, contextLength), chosen);
}

/** Blocks of keys that a token attends to, side by side. */
export function gatheredBlocks(config: ModelConfig, contextLength: number): number {
  const { attended } = compressedKeys(config, contextLength);
  return tableBlocks(windowOf(config, contextLength) + attended);
}

/** What intermediates take, by the new tokens N. */
export function compressedBytes(
  config: ModelConfig,
  { contextLength, chunkTokens, kvType, sizes }: {
    readonly heads: number;
    readonly contextLength: number;
    readonly chunkTokens: number;
    readonly kvType: KvType;
    readonly sizes: IndexerSizes & { q8_bytes(n: number, k: number): number };
  },
): StepGraphInput["bytes"] {
  const { indexer } = config.compression!;
  const { down, merged } = compressedStrides(config);
  const rowFloats = Math.max(
    0,
    ...config.layers.map((_, i) => keptLayout(config, i)?.rowFloats ?? 0),
  );
  const { scored } = compressedKeys(config, contextLength);
  const blocks = gatheredBlocks(config, contextLength);
  const { keysBytes, valuesBytes } = kvBytes(kvType, { kvHeads: 1, config, blocks });
  const perBlock = KV_BLOCK_POSITIONS / LEAST_RATIO;
  return {
    "compressed.down": N.times(4 * down),
    "compressed.merged": N.times(4 * merged),
    "compressed.q8": sizes.q8_bytes(chunkTokens, Math.max(down, merged)),
    "indexer.query": N.times(4 * indexer.headCount * indexer.headDim),
    "indexer.key": N.times(4 * rowFloats),
    "indexer.weights": N.times(4 * indexer.headCount),
    "indexer.scores": 4 * alignUp(Math.max(1, scored), perBlock),
    "indexer.scratch": Math.max(
      4 * perBlock * indexer.headCount,
      sizes.choose_scratch_bytes(),
    ),
    "indexer.lists": 4 * listLength(config, contextLength),
    ...{ "indexer.keys": keysBytes, "indexer.values": valuesBytes, "indexer.table": blocks * 4 },
  };
}

/** Null where keys are not compressed. */
export function compressedWorkspace(
  { compression }: ModelConfig,
  at: (name: StepTensor) => number,
): CompressedWorkspace | null {
  return compression === undefined ? null : {
    down: at("compressed.down"),
    merged: at("compressed.merged"),
    q8: at("compressed.q8"),
  };
}
