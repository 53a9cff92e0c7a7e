/** RWKV-6: states that keys decay, and gated neurons of squared ReLU; nothing attends. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "rwkv6"`. */
export const rwkv6: Family = {
  ...COMMON,
  architecture: "rwkv6",
  positions: "none",
  norm: "layer",
  embeddingNorm: "weighted",
  feedForwardNorm: "attn_norm_2",
  feedForward: { activation: "relu2", isGated: false, activatesUp: false },
  stateSpace: { kind: "added", attention: "none", neurons: "each", shiftsNeurons: true },
};
