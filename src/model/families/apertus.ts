/** Apertus: Llama with normalised heads, whose neurons have no gate and xIELU. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "apertus"`. */
export const apertus: Family = {
  ...COMMON,
  architecture: "apertus",
  positions: "neox",
  headNorms: "shared",
  feedForward: { activation: "xielu", isGated: false, activatesUp: false },
};
