/** Gemma 2: norms before and behind both blocks, soft caps, a window in every other layer. */
import type { Family } from "../family.ts";
import { gemma } from "./gemma.ts";

/** The one size (27B) whose attention scale is not that of its heads has so many blocks. */
const LARGE_BLOCK_COUNT = 46;

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
  scales: ({ embeddingLength, blockCount, headCount, headDim }) => ({
    embedding: Math.sqrt(embeddingLength),
    attention: 1 / Math.sqrt(
      blockCount === LARGE_BLOCK_COUNT ? Math.trunc(embeddingLength / headCount) : headDim,
    ),
  }),
};
