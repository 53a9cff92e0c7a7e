/** OpenELM: the later a layer, the more heads and neurons. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "openelm"`. */
export const openelm: Family = {
  ...COMMON,
  architecture: "openelm",
  positions: "neox",
  headNorms: "shared",
  layersDiffer: true,
};
