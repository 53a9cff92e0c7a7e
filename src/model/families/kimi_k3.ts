/**
 * Kimi K3: layers as Kimi Linear's, whose decays have a floor and whose heads are gated; blocks
 * read the stream as it was at some layers before, too; experts read latents.
 */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "kimi-k3"`. */
export const kimiK3: Family = {
  ...COMMON,
  architecture: "kimi-k3",
  positions: "none",
  hasLatentAttention: true,
  attentionGates: "apart",
  keepsInputs: true,
  stateSpace: {
    ...{ kind: "keyDeltas", attention: "instead", neurons: "each" },
    wholeMatrices: { gate: "ssm_g" },
    decayFloor: "ifSaid",
  },
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "plain",
    latents: { lengthKey: "expert_latent_length", tensors: "ffn_routed", mayNormalize: true },
  },
};
