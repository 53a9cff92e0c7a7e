/**
 * What chooses blocks of keys, on a rank: queries of its own key/value heads, the key that all of
 * them share, and what a step leaves between its parts. Pure arithmetic.
 */
import { check } from "../../base/check.ts";
import { KV_BLOCK_POSITIONS } from "../../memory/kv_layout.ts";
import type { BlockIndexerConfig, BlockIndexerTensors, ModelConfig } from "../../model/types.ts";
import { N } from "../../shapes/mod.ts";
import type { IndexerSizes } from "./plan_indexer.ts";
import type { Placer } from "./plan_layer.ts";
import type { MatrixPlan, VectorPlan } from "./plan_types.ts";
import type { StepGraphInput } from "./step_graph.ts";
import { lengthOf, type Range, scale } from "./shard.ts";

/** An indexer's weights: `BlockIndexerTensors`. */
export interface BlockIndexerPlan {
  readonly query: MatrixPlan;
  readonly key: MatrixPlan;
  readonly queryNorm: VectorPlan;
  readonly keyNorm: VectorPlan;
}

/** kvHeads: the rank's own. */
export function planBlockIndexer(
  place: Placer,
  tensors: BlockIndexerTensors | undefined,
  { config, kvHeads }: { readonly config: ModelConfig; readonly kvHeads: Range },
): BlockIndexerPlan | null {
  if (tensors === undefined) return null;
  const { query, key, queryNorm, keyNorm } = tensors;
  const whole = lengthOf(kvHeads) === 0 ? { rows: { start: 0, end: 0 } } : {};
  return {
    query: place.matrix(query, { rows: scale(kvHeads, config.blockIndexer!.headDim) }),
    key: place.matrix(key, whole),
    ...{ queryNorm: place.vector(queryNorm), keyNorm: place.vector(keyNorm) },
  };
}

/** Blocks of the cache that one of an indexer is. */
export function cacheBlocksOf({ blockPositions }: BlockIndexerConfig): number {
  check(blockPositions % KV_BLOCK_POSITIONS === 0, "blocks are whole ones of the cache");
  return blockPositions / KV_BLOCK_POSITIONS;
}

/** Blocks that a sequence may have. */
export function blocksOf({ blockPositions }: BlockIndexerConfig, contextLength: number): number {
  return Math.ceil(contextLength / blockPositions);
}

/**
 * What intermediates take, by the new tokens N: queries [n, kvHeads, headDim] and keys; of one
 * token the best of each block, [kvHeads, blocks], and of one head the blocks that are chosen and
 * the numbers of those of the cache.
 */
export function blockIndexerBytes(
  { blockIndexer, headCountKv }: ModelConfig,
  { heads, contextLength, sizes }: {
    readonly heads: number;
    readonly contextLength: number;
    readonly sizes: IndexerSizes;
  },
): StepGraphInput["bytes"] {
  if (blockIndexer === undefined) return {};
  const { headDim, blockCount } = blockIndexer;
  const kvHeads = Math.min(heads, headCountKv);
  return {
    "indexer.query": N.times(4 * kvHeads * headDim),
    "indexer.key": N.times(4 * headDim),
    "indexer.scores": 4 * kvHeads * blocksOf(blockIndexer, contextLength),
    "indexer.scratch": Math.max(
      sizes.attention_scratch_bytes(1, kvHeads, kvHeads, headDim),
      sizes.choose_scratch_bytes(),
    ),
    "indexer.lists": 4 * blockCount,
    "indexer.table": 4 * blockCount * cacheBlocksOf(blockIndexer),
  };
}
