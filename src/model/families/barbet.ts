/** Barbet: of four layers one keeps states as Mamba 2 does, the others attend as in Qwen 3. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "barbet"`. */
export const barbet: Family = {
  ...COMMON,
  architecture: "barbet",
  positions: "neox",
  headNorms: "shared",
  stateSpace: { kind: "heads", attention: "instead", neurons: "each" },
};
