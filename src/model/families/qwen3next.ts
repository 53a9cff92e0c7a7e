/** Qwen 3 Next: Qwen 3.5's experts and layers, in another order of heads. */
import type { Family } from "../family.ts";
import { qwen35moe } from "./qwen35moe.ts";

/** The family `general.architecture = "qwen3next"`. */
export const qwen3next: Family = {
  ...qwen35moe,
  architecture: "qwen3next",
  stateSpace: { kind: "deltas", attention: "instead", neurons: "each" },
};
