/** EuroBERT: Llama that reads both ways. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "eurobert"`. */
export const euroBert: Family = {
  ...COMMON,
  architecture: "eurobert",
  isEncoder: true,
  positions: "neox",
};
