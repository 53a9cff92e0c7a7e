/** Qwen 2 and 2.5: Llama with biased query, key and value, and pairs half a head apart. */
import type { Family } from "../family.ts";

/** The family `general.architecture = "qwen2"`. */
export const qwen2: Family = {
  architecture: "qwen2",
  ropeKind: "neox",
  qkvBias: "required",
  slidingWindow: false,
};
