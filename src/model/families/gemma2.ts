/** Gemma 2: norms before and behind both blocks, soft caps, a window in every other layer. */
import type { Family } from "../family.ts";
import { gemma } from "./gemma.ts";

/** One size (27B), told by its depth, scales queries by the width over the heads. */
export function gemmaScales(largeBlockCount: number): Family["scales"] {
  return ({ embeddingLength, blockCount, headCount, headDim }) => {
    const isLarge = blockCount === largeBlockCount;
    const length = isLarge ? Math.trunc(embeddingLength / headCount) : headDim;
    return { embedding: Math.sqrt(embeddingLength), attention: 1 / Math.sqrt(length) };
  };
}

/** The family `general.architecture = "gemma2"`. */
export const gemma2: Family = {
  ...gemma,
  architecture: "gemma2",
  hasPostNorms: true,
  windows: {
    period: 2,
    globalLayer: "last",
    defaultLength: 4096,
    localRopeBase: null,
    scalesLocalRope: true,
    globalIsUnrotated: false,
  },
  attentionSoftCap: 50,
  logitSoftCap: 30,
  scales: gemmaScales(46),
};
