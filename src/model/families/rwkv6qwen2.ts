/** QRWKV: a transformer whose attention was replaced by states like RWKV-6's; neurons of SwiGLU. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "rwkv6qwen2"`. */
export const rwkv6qwen2: Family = {
  ...COMMON,
  architecture: "rwkv6qwen2",
  positions: "none",
  normBiases: "ifThere",
  stateSpace: { kind: "added", attention: "none", neurons: "each" },
};
