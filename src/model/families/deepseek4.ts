/**
 * DeepSeek 4: keys of several tokens compressed into one, of which an indexer chooses some; layers
 * that mix four residual streams; experts that, in the first layers, tokens say.
 */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "deepseek4"`. */
export const deepseek4: Family = {
  ...COMMON,
  architecture: "deepseek4",
  positions: "norm",
  windows: "all",
  compressesKeys: true,
  swigluLimits: "gates",
  experts: {
    isRequired: true,
    gating: "rootSoftplus",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};
