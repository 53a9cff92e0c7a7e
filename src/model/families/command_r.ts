/** Command R: parallel blocks, layer norms without biases, a factor of the logits. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "command-r"`. */
export const commandR: Family = {
  ...COMMON,
  architecture: "command-r",
  positions: "norm",
  norm: "layer",
  normBiases: "none",
  mayBeParallel: true,
  headNorms: "perHead",
  scales: () => ({}),
  logitScale: "multiplies",
};
