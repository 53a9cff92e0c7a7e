/** OpenAI's gpt-oss: attention sinks, windows in every other layer, experts with biases. */
import { COMMON, EXPERT_BIASES, type Family, QKV } from "../family.ts";

/** The family `general.architecture = "gpt-oss"`. */
export const gptOss: Family = {
  ...COMMON,
  architecture: "gpt-oss",
  positions: "neox",
  feedForwardNorm: "post_attention_norm",
  requiredBiases: [...QKV, "attn_output", ...EXPERT_BIASES],
  attentionSinks: "all",
  feedForward: { activation: "swiglu7", isGated: true, activatesUp: false },
  windows: {
    period: 2,
    globalLayer: "last",
    defaultLength: 128,
    localRopeBase: null,
    scalesLocalRope: true,
    globalIsUnrotated: false,
  },
  experts: {
    isRequired: true,
    gating: "softmaxOfChosen",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "none",
  },
};
