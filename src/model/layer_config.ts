/** A model as one of its layers has it. Pure arithmetic. */
import type { ModelConfig } from "./types.ts";

/** The model's numbers with those that are another one's in that layer. */
export function configOf(config: ModelConfig, layer: number): ModelConfig {
  const shape = config.layers[layer]?.shape;
  return shape === undefined ? config : { ...config, ...shape };
}

/** True where layers differ in their numbers of neurons. */
export function hasUnevenNeurons({ layers, feedForwardLength, experts }: ModelConfig): boolean {
  return layers.some(({ shape }) => {
    if (shape === undefined) return false;
    const ofExpert = (shape.experts ?? experts)?.feedForwardLength;
    return shape.feedForwardLength !== feedForwardLength || ofExpert !== experts?.feedForwardLength;
  });
}

/** Keys that a token attends to at most where layers choose some; Infinity: none does. */
export function chosenKeyCount(
  { indexer, blockIndexer }: Pick<ModelConfig, "indexer" | "blockIndexer">,
): number {
  if (blockIndexer === undefined) return indexer?.keyCount ?? Infinity;
  return blockIndexer.blockCount * blockIndexer.blockPositions;
}

/** A text, or a source, is one step, however long: its tokens see those behind them, too. */
export function readsWhole(
  { isEncoder, source, fill }: Pick<ModelConfig, "isEncoder" | "source" | "fill">,
): boolean {
  return isEncoder === true || source !== undefined || fill !== undefined;
}

/** Positions are counted in 31 bits. */
const POSITIONS_MAX = 2 ** 31;

/** So many positions behind its own a token sees, where it sees all. */
export const ALL_AHEAD = POSITIONS_MAX - 1;

/**
 * How many positions behind its own a token of a layer sees: none but where a text, or a source, is
 * seen as a whole; rows that are asked see as many as there are of them.
 */
export function positionsAhead(
  { isEncoder, fill, layers, patches }: ModelConfig,
  layer: number,
): number {
  if (patches?.areAsked) return 0;
  const { stage, slidingWindow } = layers[layer];
  const seesAll = isEncoder || fill || stage === "reads" || stage === "asks";
  return seesAll ? (slidingWindow || POSITIONS_MAX) - 1 : 0;
}
