/** Qwen 2 and 2.5: Llama with biased query, key and value, and pairs half a head apart. */
import { COMMON, type Family, QKV } from "../family.ts";

/** The family `general.architecture = "qwen2"`. */
export const qwen2: Family = {
  ...COMMON,
  architecture: "qwen2",
  positions: "neox",
  requiredBiases: QKV,
};
