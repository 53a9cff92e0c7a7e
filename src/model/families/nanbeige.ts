/** Nanbeige 4.5: Llama, whose layers are walked several times. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "nanbeige"`. */
export const nanbeige: Family = {
  ...COMMON,
  architecture: "nanbeige",
  positions: "norm",
  repeats: "loops",
};
