/** Pangu Embedded: Llama with biases around attention, and of the output. */
import { COMMON, type Family, QKV } from "../family.ts";

/** The family `general.architecture = "pangu-embedded"`. */
export const panguEmbedded: Family = {
  ...COMMON,
  architecture: "pangu-embedded",
  positions: "neox",
  requiredBiases: [...QKV, "attn_output"],
};
