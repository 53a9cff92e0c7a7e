/** Granite 4 and Bamba: most layers have a state space, a few attend; some have experts. */
import type { Family } from "../family.ts";
import { granitemoe } from "./granitemoe.ts";

/** The family `general.architecture = "granitehybrid"`. */
export const graniteHybrid: Family = {
  ...granitemoe,
  architecture: "granitehybrid",
  rotationIsOptional: true,
  stateSpace: { kind: "heads", attention: "instead", neurons: "each" },
};
