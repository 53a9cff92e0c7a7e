/** Qwen 3 VL with experts, of which texts are read. */
import type { Family } from "../family.ts";
import { qwen3moe } from "./qwen3moe.ts";

/** The family `general.architecture = "qwen3vlmoe"`. */
export const qwen3vlmoe: Family = {
  ...qwen3moe,
  architecture: "qwen3vlmoe",
  sections: "interleaved",
};
