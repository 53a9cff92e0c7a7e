/** Snowflake Arctic: a dense block behind attention, and experts that read what attention reads. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "arctic"`. */
export const arctic: Family = {
  ...COMMON,
  architecture: "arctic",
  positions: "norm",
  experts: {
    isRequired: true,
    gating: "softmax",
    normalizesWeights: true,
    routerInput: "ownNorm",
    sharedExpert: "dense",
    sharedLength: "asStream",
    saysLengthOfEach: true,
  },
};
