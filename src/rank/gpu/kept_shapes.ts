/** What layers on a GPU keep of tokens: its sizes. Pure arithmetic. */
import { convolutionRowsBytes, type ConvolutionShape, kvCacheBytes } from "../../../gpu/mod.ts";
import { KV_BLOCK_POSITIONS } from "../../memory/kv_layout.ts";
import type { LayerConfig, ModelConfig } from "../../model/types.ts";
import { kvBlocksOf } from "../kv_bytes.ts";
import type { KvType } from "../plan_types.ts";
import { lengthOf, type Shard } from "../shard.ts";

/** The most tokens of a wait: a sequence goes back by as many (token_chain.ts). */
export const CHAIN_TOKENS_MAX = 16;

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

/** Bytes of all that a layer keeps for some heads. */
export function keptBytes(
  { kvHeads }: Shard,
  { config: { headDim }, layer, kvType, sequences = 1, ...options }: {
    /** The model as this layer has it. */
    readonly config: ModelConfig;
    readonly layer: LayerConfig;
    readonly kvType: KvType;
    readonly contextLength: number;
    readonly chunkTokens: number;
    readonly sequences?: number;
    readonly kvBlocks?: number;
  },
): number {
  const { chunkTokens } = options;
  const kvBlocks = kvBlocksOf({ ...options, sequences });
  const { convolutionTaps: taps } = layer;
  if (taps !== undefined) {
    const width = lengthOf(kvHeads) * headDim;
    return convolutionRowsBytes(
      convolutionShape({ width, taps, sequences, kvBlocks, chunkTokens }),
    );
  }
  return kvCacheBytes({
    ...{ positions: kvBlocks * KV_BLOCK_POSITIONS, kvHeads: lengthOf(kvHeads), headDim },
    type: kvType === "f32" ? "f32" : "f16",
  });
}
