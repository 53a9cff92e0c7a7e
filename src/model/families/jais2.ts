/** Jais 2: layer norms, squared ReLU without a gate, biases everywhere. */
import type { Family } from "../family.ts";
import { starcoder2 } from "./starcoder2.ts";

/** The family `general.architecture = "jais2"`. */
export const jais2: Family = {
  ...starcoder2,
  architecture: "jais2",
  feedForward: { activation: "relu2", isGated: false, activatesUp: false },
};
