/** Mamba 2: state spaces of heads whose channels share their decay. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "mamba2"`. */
export const mamba2: Family = {
  ...COMMON,
  architecture: "mamba2",
  positions: "none",
  stateSpace: { kind: "heads", attention: "none", neurons: "none" },
};
