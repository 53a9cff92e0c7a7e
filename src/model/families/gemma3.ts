/** Gemma 3 (text): head norms for soft caps, five windowed layers to one, each with its rope. */
import type { Family } from "../family.ts";
import { gemma } from "./gemma.ts";

/** The one size (27B) whose attention scale is not that of its heads has so many blocks. */
const LARGE_BLOCK_COUNT = 62;

/** The family `general.architecture = "gemma3"`. */
export const gemma3: Family = {
  ...gemma,
  architecture: "gemma3",
  hasPostNorms: true,
  headNorms: "shared",
  windows: {
    period: 6,
    globalLayer: "last",
    defaultLength: 0,
    localRopeBase: 10000,
    scalesLocalRope: false,
    globalIsUnrotated: false,
  },
  logitSoftCap: 0,
  scales: ({ embeddingLength, blockCount, headCount, headDim }) => ({
    embedding: Math.sqrt(embeddingLength),
    attention: 1 / Math.sqrt(
      blockCount === LARGE_BLOCK_COUNT ? Math.trunc(embeddingLength / headCount) : headDim,
    ),
  }),
};
