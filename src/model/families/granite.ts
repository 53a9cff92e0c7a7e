/** Granite 3: Llama with four scales, all of them in the file; some models know no positions. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "granite"`. */
export const granite: Family = {
  ...COMMON,
  architecture: "granite",
  positions: "norm",
  rotationIsOptional: true,
  scalesGiven: true,
  scales: () => ({}),
};
