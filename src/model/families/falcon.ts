/** Falcon 7B and 40B: parallel blocks, in the larger one each with a norm of its own. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "falcon"`. */
export const falcon: Family = {
  ...COMMON,
  architecture: "falcon",
  positions: "neox",
  norm: "layer",
  mayBeParallel: true,
  feedForward: { activation: "gelu", isGated: false, activatesUp: false },
};
