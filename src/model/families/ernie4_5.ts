/** ERNIE 4.5, dense: Llama by another name. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "ernie4_5"`. */
export const ernie45: Family = {
  ...COMMON,
  architecture: "ernie4_5",
  positions: "norm",
};
