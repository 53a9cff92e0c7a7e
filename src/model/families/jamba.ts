/** Jamba: state spaces, a few layers that attend, and experts in some; no positions. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "jamba"`. */
export const jamba: Family = {
  ...COMMON,
  architecture: "jamba",
  positions: "none",
  stateSpace: { kind: "channels", attention: "instead", neurons: "each" },
  experts: {
    isRequired: false,
    gating: "softmax",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "none",
    areInTurns: true,
  },
};
