/**
 * Which part of every layer a rank owns: some query heads with the key/value heads they read, some
 * feed-forward neurons, some rows of the vocabulary. Pure arithmetic.
 */
import { check, divCeil } from "../base/check.ts";
import type { ModelConfig } from "../model/types.ts";
import { BLOCK_WEIGHTS, SUPERBLOCK_WEIGHTS } from "../memory/row_layout.ts";

/** Half-open: start .. end-1. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export interface Shard {
  readonly heads: Range;
  /** The key/value heads that `heads` read; neighbours may both own one at a border. */
  readonly kvHeads: Range;
  /** Of a dense feed-forward block. */
  readonly neurons: Range;
  /**
   * Of an expert: expert e's are number e modulo the length. Where the parts differ in size, every
   * rank has the large one of some experts.
   */
  readonly expertNeurons: readonly Range[];
  /** Of the expert that every token uses. */
  readonly sharedNeurons: Range;
  readonly vocab: Range;
  /** Of the learned positions, where there are any. */
  readonly positions: Range;
}

/** How finely columns of the two column-sharded matrices may be cut. */
export interface ColumnBlocks {
  /** Weights per block of the attention output projection: 1 for floats. */
  readonly attentionOutput: number;
  /** Weights per block of the down projection. */
  readonly down: number;
  /** Neurons per cut of a packed model: those of a stripe. Left out: what `down` asks for. */
  readonly stripes?: { readonly dense: number; readonly expert: number; readonly shared: number };
}

/**
 * Shards of `rankCount` ranks. Cuts fall on block borders of the column-sharded matrices, so that
 * no block is split; a small model may leave a rank without heads or neurons.
 */
export function planShards(
  config: ModelConfig,
  options: { rankCount: number; contextLength: number; blocks: ColumnBlocks },
): Shard[] {
  const { rankCount, contextLength, blocks } = options;
  check(rankCount >= 1, "at least one rank");
  const groupSize = config.headCount / config.headCountKv;
  const headUnit = headsPerBlock(config, blocks.attentionOutput);
  const neuronsOf = (
    total: number,
    part: number,
    { stripe, takesTurns = false }: { stripe?: number; takesTurns?: boolean },
  ) => {
    const unit = stripe ?? neuronsPerCut(total, { rankCount, block: blocks.down, takesTurns });
    return cut(total, { parts: rankCount, part, unit });
  };
  const { stripes } = blocks;
  const { feedForwardLength = 0, sharedFeedForwardLength = 0 } = config.experts ?? {};
  return Array.from({ length: rankCount }, (_, rank) => {
    const heads = cut(config.headCount, { parts: rankCount, part: rank, unit: headUnit });
    const kvHeads = heads.start === heads.end ? { start: 0, end: 0 } : {
      start: Math.floor(heads.start / groupSize),
      end: Math.floor((heads.end - 1) / groupSize) + 1,
    };
    return {
      heads,
      kvHeads,
      neurons: neuronsOf(config.feedForwardLength, rank, { stripe: stripes?.dense }),
      expertNeurons: Array.from(
        { length: rankCount },
        (_, turn) =>
          neuronsOf(feedForwardLength, (rank + turn) % rankCount, {
            stripe: stripes?.expert,
            takesTurns: true,
          }),
      ),
      sharedNeurons: neuronsOf(sharedFeedForwardLength, rank, { stripe: stripes?.shared }),
      vocab: cut(config.vocabSize, { parts: rankCount, part: rank, unit: 1 }),
      positions: cut(contextLength, { parts: rankCount, part: rank, unit: 1 }),
    };
  });
}

/** Length of a range. */
export function lengthOf(range: Range): number {
  return range.end - range.start;
}

/** The part-th of `parts` nearly equal ranges of 0..total, cut at multiples of `unit`. */
export function cut(total: number, by: { parts: number; part: number; unit: number }): Range {
  const units = divCeil(total, by.unit);
  const at = (part: number) => Math.min(total, Math.round((units * part) / by.parts) * by.unit);
  return { start: at(by.part), end: at(by.part + 1) };
}

/** Fewest heads whose width is a whole number of blocks. */
function headsPerBlock(config: ModelConfig, block: number): number {
  let heads = 1;
  while ((heads * config.headDim) % block !== 0) heads++;
  return heads;
}

/**
 * Superblocks where there are enough of them to share out evenly, else blocks. Whose parts take
 * turns is even in the end: there a superblock for each rank is enough.
 */
function neuronsPerCut(
  neurons: number,
  by: { rankCount: number; block: number; takesTurns: boolean },
): number {
  const { rankCount, block } = by;
  if (block === 1) return 1;
  const superblocks = Math.floor(neurons / SUPERBLOCK_WEIGHTS);
  const enough = by.takesTurns ? rankCount : 8 * rankCount;
  const even = superblocks % rankCount === 0 || superblocks >= enough;
  return even && superblocks > 0 ? SUPERBLOCK_WEIGHTS : Math.max(block, BLOCK_WEIGHTS);
}
