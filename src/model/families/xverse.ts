/** XVERSE: Llama by another name. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "xverse"`. */
export const xverse: Family = {
  ...COMMON,
  architecture: "xverse",
  positions: "norm",
};
