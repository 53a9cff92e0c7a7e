/** What keys and values of a layer take in an arena: src/memory/kv_layout.ts. Pure arithmetic. */
import { alignUp } from "../base/check.ts";
import { KV_BLOCK_POSITIONS, KV_SCALES_BYTES, VALUE_PAD_ELEMENTS } from "../memory/kv_layout.ts";
import { cachedValueDim } from "../model/latent.ts";
import type { ModelConfig } from "../model/types.ts";
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

/** Of so many heads and blocks. */
export function kvBytes(
  type: KvType,
  of: {
    readonly blocks: number;
    readonly kvHeads: number;
    readonly config: Pick<ModelConfig, "headDim" | "latent">;
  },
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
