/** Nemotron 3 and Minitron: layer norms, partly rotated heads, squared ReLU without a gate. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "nemotron"`; its converter has added 1 to norm weights. */
export const nemotron: Family = {
  ...COMMON,
  architecture: "nemotron",
  positions: "neox",
  norm: "layer",
  feedForward: { activation: "relu2", isGated: false, activatesUp: false },
};
