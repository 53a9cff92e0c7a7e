/** StarCoder 2: layer norms, GELU without a gate, biases everywhere. */
import { COMMON, type Family, QKV } from "../family.ts";

/** The family `general.architecture = "starcoder2"`. */
export const starcoder2: Family = {
  ...COMMON,
  architecture: "starcoder2",
  positions: "neox",
  norm: "layer",
  feedForward: { activation: "gelu", isGated: false, activatesUp: false },
  requiredBiases: [...QKV, "attn_output", "ffn_up", "ffn_down"],
};
