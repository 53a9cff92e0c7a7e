/** Qwen 3: every head's query and key is normalised, biases are gone. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "qwen3"`. */
export const qwen3: Family = {
  ...COMMON,
  architecture: "qwen3",
  positions: "neox",
  headNorms: "shared",
  ranks: { reads: "last", activation: "tanh", isSoftmax: true },
};
