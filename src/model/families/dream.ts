/** Dream: Qwen 2.5 that fills in masks, and reads both ways. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "dream"`. */
export const dream: Family = {
  ...COMMON,
  architecture: "dream",
  positions: "neox",
  fills: true,
};
