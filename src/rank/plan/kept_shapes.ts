/** What layers on a GPU keep of tokens: its sizes. Pure arithmetic. */
import {
  convolutionRowsBytes,
  type ConvolutionShape,
  kvCacheBytes,
  statePlacesBytes,
  type StateShape,
} from "../../../gpu/planning.ts";
import { MiB } from "../../base/units.ts";
import { KV_BLOCK_POSITIONS } from "../../memory/kv_layout.ts";
import { dimsOnGpu } from "../../model/latent.ts";
import { configOf } from "../../model/layer_config.ts";
import type { LayerConfig, ModelConfig, StateSpaceConfig } from "../../model/types.ts";
import { kvBlocksOf, statePlacesOf } from "./kv_bytes.ts";
import { channelsOf, convolvedRows, placeBytes } from "./plan_state.ts";
import type { KvType } from "./plan_types.ts";
import { lengthOf, ofLayer, type Range, type Shard } from "./shard.ts";

/** The most tokens of a wait: a sequence goes back by as many (token_chain.ts). */
export const CHAIN_TOKENS_MAX = 16;
/** What states of a chain's tokens may take, in all layers together. */
const CHAIN_STATES_BYTES_MAX = 256 * MiB;

/** With more tokens that are never said a wait is for one token. */
const SILENCED_MAX = 64;

/**
 * The most tokens of a wait for a model. Each leaves a state, for it may be the last one that
 * counts: where states are large, so that a token takes long anyway, there are few, or 1.
 */
export function chainTokensOf({ stateSpace, layers, silencedTokens }: ModelConfig): number {
  // The GPU would choose those, too, and does not know them: few are seldom among the best.
  const silenced = silencedTokens?.reduce((sum, range) => sum + lengthOf(range), 0) ?? 0;
  if (silenced > SILENCED_MAX) return 1;
  if (stateSpace === null) return CHAIN_TOKENS_MAX;
  const each = placeBytes({ start: 0, end: stateSpace.headCount }, stateSpace);
  const layerCount = layers.filter(({ hasStates }) => hasStates).length;
  const places = Math.floor(CHAIN_STATES_BYTES_MAX / (layerCount * each));
  return Math.max(1, Math.min(CHAIN_TOKENS_MAX, places));
}

/**
 * Places of states where a GPU is alone: beside those of sequences, which a step of one token has,
 * those of a chain's other tokens.
 */
export function chainedStatePlaces(config: ModelConfig, sequences: number | undefined): number {
  const places = statePlacesOf(config, { sequences });
  return places === 0 ? 0 : places + chainTokensOf(config) - 1;
}

/** Rows of a layer that convolves. */
export function convolutionShape(
  { width, taps, sequences, kvBlocks, chunkTokens }: {
    readonly width: number;
    readonly taps: number;
    readonly sequences: number;
    readonly kvBlocks: number;
    readonly chunkTokens: number;
  },
): ConvolutionShape {
  return {
    ...{ width, taps, sequences, blocks: kvBlocks },
    tokens: Math.max(chunkTokens, CHAIN_TOKENS_MAX),
  };
}

/** States of some heads. */
export function stateShape(
  heads: Range,
  { config, places }: { readonly config: StateSpaceConfig; readonly places: number },
): StateShape {
  const { taps, stateLength: states } = config;
  const channels = lengthOf(channelsOf(heads, config));
  return { places, taps, states, channels, convolved: convolvedRows(heads, config) };
}

/** Bytes of all that a layer keeps for all heads, where a GPU is alone. */
export function wholeLayerBytes(
  config: ModelConfig,
  layer: number,
  options: Omit<KeptOptions, "config" | "layer" | "statePlaces">,
): number {
  const own = configOf(config, layer);
  const whole = (end: number) => ({ start: 0, end });
  const heads = { heads: whole(own.headCount), kvHeads: whole(own.headCountKv) };
  const { kvHeads } = ofLayer(heads, config.layers[layer]);
  return keptBytes({ kvHeads, stateHeads: whole(config.stateSpace?.headCount ?? 0) }, {
    ...{ ...options, config: own, layer: config.layers[layer] },
    statePlaces: chainedStatePlaces(config, options.sequences),
  });
}

interface KeptOptions {
  /** The model as this layer has it. */
  readonly config: ModelConfig;
  readonly layer: LayerConfig;
  readonly kvType: KvType;
  readonly statePlaces: number;
  readonly contextLength: number;
  readonly chunkTokens: number;
  readonly sequences?: number;
  readonly kvBlocks?: number;
}

/** Bytes of all that a layer keeps for some heads. */
export function keptBytes(
  { kvHeads, stateHeads }: Pick<Shard, "kvHeads" | "stateHeads">,
  { config, layer, kvType, statePlaces: places, sequences = 1, ...options }: KeptOptions,
): number {
  const { chunkTokens } = options;
  const kvBlocks = kvBlocksOf({ ...options, sequences });
  const { convolutionTaps: taps, hasStates, keysOf } = layer;
  const { headDim, stateSpace } = config;
  const states = hasStates && stateSpace !== null
    ? statePlacesBytes(stateShape(stateHeads, { config: stateSpace, places }))
    : 0;
  if (taps !== undefined) {
    const width = lengthOf(kvHeads) * headDim;
    return convolutionRowsBytes(
      convolutionShape({ width, taps, sequences, kvBlocks, chunkTokens }),
    );
  }
  return states + kvCacheBytes({
    positions: kvBlocks * KV_BLOCK_POSITIONS,
    kvHeads: keysOf === undefined ? lengthOf(kvHeads) : 0,
    ...dimsOnGpu(config),
    type: kvType === "f32" ? "f32" : "f16",
  });
}
