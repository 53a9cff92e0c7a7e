/**
 * Keys and tensors of what chooses blocks of keys ("MiniMax Sparse Attention"). Knows names and
 * shapes; reads no weights.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { Family } from "../family.ts";
import type { ExpertsConfig, LayerTensors, ModelConfig } from "../types.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import type { LayerReader } from "./layer_reader.ts";

/** More than any model has; keeps products of such numbers exact. */
const DIMS_MAX = 1024;
const BLOCKS_MAX = 32768;
const POSITIONS_MAX = 65536;
/** Kernels read so many dimensions of a key at a time. */
const DIM_UNIT = 4;
/** Blocks are whole ones of the cache. */
const POSITION_UNIT = 32;

/**
 * Nothing: the family has none, or the context has no more blocks than are chosen.
 * @throws {ModelFormatError} when a key is missing, out of range, or contradicts another.
 * @throws {UnsupportedModelError} when the widths of keys or blocks have no kernel.
 */
export function readBlockChoice(
  keys: Hyperparameters,
  { indexer }: Family,
  { usedContext, headCountKv, headDim: absent, layers, experts }:
    & Pick<ModelConfig, "headCountKv" | "headDim" | "layers">
    & { readonly usedContext: number; readonly experts: ExpertsConfig | null },
): Pick<ModelConfig, "blockIndexer"> & Partial<Pick<ModelConfig, "layers">> {
  if (!indexer?.ofBlocks) return {};
  const of = (name: string) => `attention.indexer.${name}`;
  const blockCount = keys.integer(of("top_k"), { min: 1, max: BLOCKS_MAX });
  const blockPositions = keys.integer(of("block_size"), { min: 1, max: POSITIONS_MAX });
  const context = blockCount * blockPositions;
  if (usedContext <= context) return {};
  const headDim = keys.integer(of("key_length"), { min: 1, max: DIMS_MAX });
  // The token's own block is always one of them: what is seen of a block ends there.
  const lastBlocks = keys.integer(of("local_blocks"), { min: 1, max: blockCount });
  const heads = keys.integer(of("head_count"), { min: 1 });
  if (heads !== headCountKv) {
    throw keys.wrong(of("head_count"), `the number of key/value heads, ${headCountKv}`);
  }
  const turned = keys.integer("rope.dimension_count", { min: 1, absent });
  if (turned > headDim) throw keys.wrong(of("key_length"), `${turned} or more, which are turned`);
  const instead = `use a context of at most ${context} tokens`;
  refuseUnless(keys.flag("attention.causal", true), "it reads texts in both directions", instead);
  refuseUnless(
    headDim % DIM_UNIT === 0 && blockPositions % POSITION_UNIT === 0,
    `its indexer's heads have ${headDim} dimensions and its blocks ${blockPositions} positions, ` +
      `this version needs multiples of ${DIM_UNIT} and ${POSITION_UNIT}`,
    instead,
  );
  const first = experts?.leadingDenseCount ?? 0;
  return {
    blockIndexer: { headDim, blockPositions, blockCount, lastBlocks },
    layers: layers.map((layer, index) => index < first ? layer : { ...layer, choosesBlocks: true }),
  };
}

function refuseUnless(isSupported: boolean, what: string, instead: string): void {
  if (isSupported) return;
  throw new UnsupportedModelError(`Cannot run this model: ${what}: ${instead}`);
}

/** Of a layer that chooses. */
export function blockIndexerTensors(
  { checker, config, at, index }: LayerReader,
): Pick<LayerTensors, "blockIndexer"> {
  const { blockIndexer, embeddingLength: columns, headCountKv } = config;
  if (blockIndexer === undefined || !config.layers[index].choosesBlocks) return {};
  const { headDim } = blockIndexer;
  const rows = headCountKv * headDim;
  return {
    blockIndexer: {
      query: checker.matrix(`${at}indexer.q_proj.weight`, { rows, columns }),
      key: checker.matrix(`${at}indexer.k_proj.weight`, { rows: headDim, columns }),
      queryNorm: checker.vector(`${at}indexer.q_norm.weight`, headDim),
      keyNorm: checker.vector(`${at}indexer.k_norm.weight`, headDim),
    },
  };
}
