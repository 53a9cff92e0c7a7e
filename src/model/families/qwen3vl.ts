/** Qwen 3 VL, of which texts are read: their positions are all of one kind. */
import type { Family } from "../family.ts";
import { qwen3 } from "./qwen3.ts";

/** The family `general.architecture = "qwen3vl"`. */
export const qwen3vl: Family = {
  ...qwen3,
  architecture: "qwen3vl",
  sections: "interleaved",
};
