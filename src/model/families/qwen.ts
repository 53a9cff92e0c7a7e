/** Qwen 1: fused and biased queries, keys and values. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "qwen"`. */
export const qwen: Family = {
  ...COMMON,
  architecture: "qwen",
  positions: "neox",
  countsGatesAndUps: true,
  requiredBiases: ["attn_qkv"],
};
