/** Granite 3 with experts: Granite's four scales; an expert may be shared. */
import type { Family } from "../family.ts";
import { granite } from "./granite.ts";

/** The family `general.architecture = "granitemoe"`. */
export const granitemoe: Family = {
  ...granite,
  architecture: "granitemoe",
  rotationIsOptional: false,
  experts: {
    isRequired: false,
    gating: "softmax",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};
