/** ModernBERT: norms before the blocks, GEGLU, two windowed layers to one that sees everything. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "modern-bert"`. */
export const modernBert: Family = {
  ...COMMON,
  architecture: "modern-bert",
  isEncoder: true,
  positions: "neox",
  embeddingNorm: "weighted",
  norm: "layer",
  normBiases: "none",
  mayLackFirstNorm: true,
  feedForward: { activation: "gelu", isGated: true, activatesUp: false },
  fusesGateAndUp: true,
  windows: {
    period: 3,
    globalLayer: "first",
    defaultLength: 0,
    localRopeBase: 10000,
    scalesLocalRope: true,
    globalIsUnrotated: false,
  },
  ranks: { reads: "mean", activation: "gelu", isSoftmax: false },
};
