/** GLM 4 of 2025: norms before and behind both blocks, half of each head rotated. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "glm4"`. */
export const glm4: Family = {
  ...COMMON,
  architecture: "glm4",
  sections: "inTurn",
  positions: "norm",
  positionsOfSections: "neox",
  hasPostNorms: true,
  fusesGateAndUp: true,
};
