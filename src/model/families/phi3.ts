/** Phi 3 and 4: fused tensors, and rotary factors for short and for long contexts. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "phi3"`; its files name a window that nobody obeys. */
export const phi3: Family = {
  ...COMMON,
  architecture: "phi3",
  positions: "neox",
  fusesGateAndUp: true,
};
