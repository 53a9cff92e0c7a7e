/** Falcon-H1: attention and a state space side by side in every layer. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "falcon-h1"`, whose scales its converter multiplies in. */
export const falconH1: Family = {
  ...COMMON,
  architecture: "falcon-h1",
  positions: "neox",
  stateSpace: { kind: "heads", attention: "beside", neurons: "each", mayLackNorm: true },
};
