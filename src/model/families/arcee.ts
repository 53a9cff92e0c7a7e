/** Arcee (AFM): Llama whose feed-forward block squares ReLU and has no gate. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "arcee"`. */
export const arcee: Family = {
  ...COMMON,
  architecture: "arcee",
  positions: "norm",
  feedForward: { activation: "relu2", isGated: false, activatesUp: false },
};
