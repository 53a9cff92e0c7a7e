/** PLaMo 13B: Llama with parallel blocks and pairs half a head apart. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "plamo"`. */
export const plamo: Family = {
  ...COMMON,
  architecture: "plamo",
  positions: "neox",
  mayBeParallel: true,
};
