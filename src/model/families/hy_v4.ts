/**
 * Hunyuan 4: latent attention with sinks and gates, of whose keys an indexer may choose some;
 * residual streams side by side; experts' gates are limited.
 */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "hy_v4"`. */
export const hyV4: Family = {
  ...COMMON,
  architecture: "hy_v4",
  positions: "norm",
  hasLatentAttention: true,
  latentStretch: "turned",
  indexer: {
    ...{ pairs: "norm", mayShare: "listed" },
    ...{ turnsLast: true, takesEpsilon: true, mayLack: true },
  },
  hasStreams: true,
  attentionSinks: "all",
  attentionGates: "apart",
  swigluLimits: "gates",
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};
