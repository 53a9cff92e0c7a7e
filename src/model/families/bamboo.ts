/** Bamboo and TurboSparse-Mistral: Llama whose gate and up halves both pass through ReLU. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "bamboo"`. */
export const bamboo: Family = {
  ...COMMON,
  architecture: "bamboo",
  positions: "norm",
  windows: "all",
  feedForward: { activation: "relu", isGated: true, activatesUp: true },
};
