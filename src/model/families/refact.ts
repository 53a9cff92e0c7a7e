/** Refact: Llama whose scores fall with distance instead of turned heads. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "refact"`. */
export const refact: Family = {
  ...COMMON,
  architecture: "refact",
  positions: "sloped",
  alibiMaxBias: () => 8,
};
