/** EXAONE 3: Llama with pairs half a head apart. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "exaone"`. */
export const exaone: Family = {
  ...COMMON,
  architecture: "exaone",
  positions: "neox",
};
