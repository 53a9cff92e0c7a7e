/**
 * What chooses keys, on a rank: all of it on every rank that has heads, so that all choose alike.
 * Its weights, its keys in the cache, and what a step leaves between its parts. Pure arithmetic.
 */
import type { IndexerTensors, ModelConfig } from "../../model/types.ts";
import { N } from "../../shapes/mod.ts";
import { compressedBytes, keptBytes } from "./plan_compressed.ts";
import { blockIndexerBytes } from "./plan_block_indexer.ts";
import { groupIndexerBytes, groupKeptBytes } from "./plan_gated.ts";
import { kvBlocksOf, kvBytes, tableBlocks } from "./kv_bytes.ts";
import type { PlannerInput } from "./plan_options.ts";
import { lengthOf } from "./shard.ts";
import type { Placer } from "./plan_layer.ts";
import type { KvType, MatrixPlan, VectorPlan } from "./plan_types.ts";
import type { LastingTensor, StepGraphInput, StepTensor } from "./step_graph.ts";
import { KV_BLOCK_POSITIONS } from "../../memory/kv_layout.ts";

/** An indexer's weights: `IndexerTensors`. */
export interface IndexerPlan {
  readonly query: MatrixPlan;
  readonly key: MatrixPlan;
  readonly keyNorm: { readonly weight: VectorPlan; readonly bias: VectorPlan };
  readonly weights: MatrixPlan;
}

/** Where a step's intermediates of the choice are, f32 unless said: `blockIndexerBytes`, too. */
export interface IndexerWorkspace {
  /** [n, heads · dimensions], [n, dimensions], [n, heads]. */
  readonly query: number;
  readonly key: number;
  readonly weights: number;
  /** Of one token, [context], and what kernels need for it, bytes. */
  readonly scores: number;
  readonly scratch: number;
  /** Positions that are chosen, u32 [n, keyCount]: later layers may read them, too. */
  readonly lists: number;
  /** Those of one token: keys and values as in the cache, and the numbers of their blocks. */
  readonly keys: number;
  readonly values: number;
  readonly table: number;
}

/** The sizes that only the kernels know. */
export interface IndexerSizes {
  attention_scratch_bytes(n: number, heads: number, groupSize: number, headDim: number): number;
  choose_scratch_bytes(): number;
}

/** isEmpty: the rank has no heads. */
export function planIndexer(
  place: Placer,
  { query, key, keyNorm, weights }: IndexerTensors,
  isEmpty: boolean,
): IndexerPlan {
  const part = isEmpty ? { rows: { start: 0, end: 0 } } : {};
  return {
    query: place.matrix(query, part),
    key: place.matrix(key, part),
    keyNorm: { weight: place.vector(keyNorm.weight), bias: place.vector(keyNorm.bias) },
    weights: place.matrix(weights, part),
  };
}

/** Bytes of what a layer keeps beside keys and values, in so many blocks; 0: nothing. */
export function indexedKeysBytes(
  type: KvType,
  config: ModelConfig,
  of: { readonly layer: number; readonly kvHeads: number; readonly blocks: number },
): number {
  const { indexer, blockIndexer, layers } = config;
  if (config.compression !== undefined) {
    return keptBytes(config, of.layer, of.kvHeads > 0 ? of.blocks : 0);
  }
  const { choosesKeys, choosesBlocks, groupRatio } = layers[of.layer];
  if (groupRatio !== undefined) {
    return groupKeptBytes(config, of.layer, of.kvHeads > 0 ? of.blocks : 0);
  }
  if (choosesKeys !== "own" && !choosesBlocks) return 0;
  const { headDim } = (indexer ?? blockIndexer)!;
  const shape = { headDim, valueDim: headDim, latent: null };
  // All heads share them.
  const kvHeads = Math.min(1, of.kvHeads);
  return kvBytes(type, { config: shape, kvHeads, blocks: of.blocks }).keysBytes;
}

/** The same of all blocks of a rank. */
export function indexedKeysOf(
  { model: { config }, layerShards, kvType, options }: PlannerInput,
  layer: number,
): number {
  const kvHeads = lengthOf(layerShards[layer].kvHeads);
  return indexedKeysBytes(kvType, config, { layer, kvHeads, blocks: kvBlocksOf(options) });
}

/** What intermediates take, by the new tokens N. */
export function indexerBytes(
  config: ModelConfig,
  of: Parameters<typeof compressedBytes>[1],
): StepGraphInput["bytes"] {
  const { indexer, headDim, valueDim, latent } = config;
  const { heads, contextLength, kvType, sizes } = of;
  if (heads === 0) return {};
  if (config.compression !== undefined) return compressedBytes(config, of);
  if (config.groupIndexer !== undefined) return groupIndexerBytes(config, of);
  if (indexer === undefined) return blockIndexerBytes(config, { heads, contextLength, sizes });
  const { headCount, headDim: dim, keyCount } = indexer;
  const blocks = tableBlocks(keyCount);
  const own = { headDim, valueDim, latent };
  const { keysBytes, valuesBytes } = kvBytes(kvType, { kvHeads: 1, config: own, blocks });
  return {
    "indexer.query": N.times(4 * headCount * dim),
    "indexer.key": N.times(4 * dim),
    "indexer.weights": N.times(4 * headCount),
    "indexer.scores": tableBlocks(contextLength) * KV_BLOCK_POSITIONS * 4,
    "indexer.scratch": Math.max(
      sizes.attention_scratch_bytes(1, headCount, headCount, dim),
      sizes.choose_scratch_bytes(),
    ),
    "indexer.lists": N.times(4 * keyCount),
    ...{ "indexer.keys": keysBytes, "indexer.values": valuesBytes, "indexer.table": blocks * 4 },
  };
}

/** Null where nothing chooses. */
export function indexerWorkspace(
  { indexer, blockIndexer, groupIndexer, compression }: ModelConfig,
  at: (name: StepTensor | LastingTensor) => number,
): IndexerWorkspace | null {
  return (indexer ?? blockIndexer ?? groupIndexer ?? compression) === undefined ? null : {
    query: at("indexer.query"),
    key: at("indexer.key"),
    weights: at("indexer.weights"),
    scores: at("indexer.scores"),
    scratch: at("indexer.scratch"),
    lists: at("indexer.lists"),
    keys: at("indexer.keys"),
    values: at("indexer.values"),
    table: at("indexer.table"),
  };
}
