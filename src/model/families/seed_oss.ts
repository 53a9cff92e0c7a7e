/** Seed-OSS: Llama with biased queries, whose second norm has another name. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "seed_oss"`. */
export const seedOss: Family = {
  ...COMMON,
  architecture: "seed_oss",
  positions: "neox",
  feedForwardNorm: "post_attention_norm",
};
