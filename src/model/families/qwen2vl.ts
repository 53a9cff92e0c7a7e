/** Qwen 2 and 2.5 VL, of which texts are read: their positions are all of one kind. */
import type { Family } from "../family.ts";
import { qwen2 } from "./qwen2.ts";

/** The family `general.architecture = "qwen2vl"`. */
export const qwen2vl: Family = {
  ...qwen2,
  architecture: "qwen2vl",
  sections: "inTurn",
};
