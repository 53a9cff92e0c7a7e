/** Where a block of keys and values lies in the ranks' memories: pieces of each layer. */
import { configOf } from "../model/layer_config.ts";
import type { RankSetup } from "../rank/open_rank.ts";
import { blockBytes } from "../rank/plan/kv_bytes.ts";
import { indexedKeysBytes } from "../rank/plan/plan_indexer.ts";
import { lengthOf } from "../rank/plan/shard.ts";
import { anyOnGpu } from "./row_independence.ts";

/** A layer's keys, or its values, on a rank: as many bytes for each block of the pool. */
export interface KvPiece {
  readonly bytes: Uint8Array;
  readonly offsetBytes: number;
  readonly blockBytes: number;
}

/** Keys and values of all layers on all ranks, in an order that plans alone decide. */
export function piecesOf({ plans, memories, config }: RankSetup): KvPiece[] {
  return plans.flatMap(({ layers, kvType }, rank) =>
    layers.flatMap((layer, index) => {
      const { arena, convolution, keysOf, keysOffsetBytes, valuesOffsetBytes } = layer;
      const { indexedKeysOffsetBytes } = layer;
      const bytes = new Uint8Array(memories[rank][arena].buffer);
      const kvHeads = keysOf === null ? lengthOf(layer.kvHeads) : 0;
      const of = { kvHeads, config: configOf(config, index), taps: convolution?.taps };
      const { keysBytes, valuesBytes } = blockBytes(kvType, of);
      const indexed = indexedKeysBytes(kvType, config, { layer: index, kvHeads, blocks: 1 });
      return [
        { bytes, offsetBytes: indexedKeysOffsetBytes, blockBytes: indexed },
        { bytes, offsetBytes: keysOffsetBytes, blockBytes: keysBytes },
        { bytes, offsetBytes: valuesOffsetBytes, blockBytes: valuesBytes },
      ];
    })
  );
}

/**
 * Whether a sequence can go on behind any position of a block that is copied: not where something
 * is kept of a block's end alone, nor where a GPU has blocks that no thread reads.
 */
export function canCopyBlocks({ plans }: RankSetup): boolean {
  return !anyOnGpu(plans) &&
    plans.every(({ layers }) => layers.every(({ convolution }) => convolution === null));
}

/** Block `to` of the pool is what block `from` is. */
export function copyBlock(pieces: readonly KvPiece[], from: number, to: number): void {
  for (const { bytes, offsetBytes, blockBytes } of pieces) {
    const at = offsetBytes + from * blockBytes;
    bytes.copyWithin(offsetBytes + to * blockBytes, at, at + blockBytes);
  }
}
