/** What keys and values of a layer take in an arena: src/memory/kv_layout.ts. Pure arithmetic. */
import { alignUp } from "../../base/check.ts";
import { convolutionBytes } from "../../memory/convolution_layout.ts";
import { KV_BLOCK_POSITIONS, KV_SCALES_BYTES, VALUE_PAD_ELEMENTS } from "../../memory/kv_layout.ts";
import { cachedValueDim } from "../../model/latent.ts";
import type { ModelConfig } from "../../model/types.ts";
import { GUESSED_STATES } from "./plan_guess.ts";
import type { KvType } from "./plan_types.ts";

/** Blocks of a sequence that fills the context: the length of its table. */
export function tableBlocks(contextLength: number): number {
  return Math.ceil(contextLength / KV_BLOCK_POSITIONS);
}

/** Blocks that all sequences share. */
export function kvBlocksOf(
  { contextLength, sequences = 1, kvBlocks }: {
    readonly contextLength: number;
    readonly sequences?: number;
    readonly kvBlocks?: number;
  },
): number {
  return kvBlocks ?? sequences * tableBlocks(contextLength);
}

/**
 * Places of states: two for each sequence, which a step reads and writes; as many remembered; and
 * where the model guesses, one for each guess of a step.
 */
export function statePlacesOf(
  { stateSpace, guess }: Pick<ModelConfig, "stateSpace" | "guess">,
  { sequences = 1 }: { readonly sequences?: number },
): number {
  return stateSpace === null ? 0 : 4 * sequences + 2 + (guess ? GUESSED_STATES : 0);
}

/** What a layer keeps of tokens. */
export interface CachedLayer {
  /** Of a layer that convolves its channels count as dimensions of so many heads. */
  readonly kvHeads: number;
  readonly config: Pick<ModelConfig, "headDim" | "valueDim" | "latent">;
  /** Of a layer that convolves; left out: it attends. */
  readonly taps?: number;
}

/** Of all sequences: keys and values, or rings and ends. */
export function cacheBytes(
  type: KvType,
  layer: CachedLayer,
  of: Parameters<typeof kvBlocksOf>[0] & { readonly chunkTokens: number },
): { keysBytes: number; valuesBytes: number } {
  const blocks = kvBlocksOf(of);
  const { taps, kvHeads, config } = layer;
  if (taps === undefined) return kvBytes(type, { ...layer, blocks });
  const { chunkTokens, sequences = 1 } = of;
  const width = kvHeads * config.headDim;
  const { ringBytes, endsBytes } = convolutionBytes({ taps, chunkTokens, width });
  return { keysBytes: sequences * ringBytes, valuesBytes: blocks * endsBytes };
}

/** Of a block, what of it another sequence can take over. */
export function blockBytes(type: KvType, layer: CachedLayer) {
  const { taps, kvHeads, config } = layer;
  if (taps === undefined) return kvBytes(type, { ...layer, blocks: 1 });
  const { endsBytes } = convolutionBytes({ taps, chunkTokens: 0, width: kvHeads * config.headDim });
  return { keysBytes: 0, valuesBytes: endsBytes };
}

/** Of so many heads and blocks. */
export function kvBytes(
  type: KvType,
  of: Omit<CachedLayer, "taps"> & { readonly blocks: number },
): { keysBytes: number; valuesBytes: number } {
  const pieces = of.blocks * of.kvHeads;
  return {
    keysBytes: pieces * pieceBytes(type, of.config.headDim),
    valuesBytes: pieces * pieceBytes(type, alignUp(cachedValueDim(of.config), VALUE_PAD_ELEMENTS)),
  };
}

/** Of one head's keys or values of one block of positions. */
function pieceBytes(type: KvType, rowElements: number): number {
  const elements = KV_BLOCK_POSITIONS * rowElements;
  return type === "i16" ? elements * 2 + KV_SCALES_BYTES : elements * 4;
}
