/** RWKV-7: states that keys decay and correct, and neurons of squared ReLU; nothing attends. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "rwkv7"`. */
export const rwkv7: Family = {
  ...COMMON,
  architecture: "rwkv7",
  positions: "none",
  norm: "layer",
  embeddingNorm: "weighted",
  feedForwardNorm: "attn_norm_2",
  feedForward: { activation: "relu2", isGated: false, activatesUp: false },
  stateSpace: { kind: "keyed", attention: "none", neurons: "each", shiftsNeurons: true },
};
