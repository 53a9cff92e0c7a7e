/** Phi 1, 1.5 and 2: parallel blocks, partly rotated heads, biases everywhere. */
import { COMMON, type Family, QKV } from "../family.ts";

/** The family `general.architecture = "phi2"`. */
export const phi2: Family = {
  ...COMMON,
  architecture: "phi2",
  positions: "neox",
  norm: "layer",
  mayBeParallel: true,
  feedForward: { activation: "gelu", isGated: false, activatesUp: false },
  requiredBiases: [...QKV, "attn_output", "ffn_up", "ffn_down", "output"],
};
