/** Maincoder: Llama whose heads are normalised when they are turned already. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "maincoder"`. */
export const maincoder: Family = {
  ...COMMON,
  architecture: "maincoder",
  positions: "norm",
  headNorms: "shared",
  normalizesTurnedHeads: true,
};
