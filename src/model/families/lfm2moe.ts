/** The mixtures of LFM2 (8B-A1B): sigmoid gates, and dense blocks in the first layers. */
import type { Family } from "../family.ts";
import { lfm2 } from "./lfm2.ts";

/** The family `general.architecture = "lfm2moe"`. */
export const lfm2moe: Family = {
  ...lfm2,
  architecture: "lfm2moe",
  windows: "none",
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "none",
  },
};
