/** Jais: scores fall with distance, and are divided by the dimensions of a head themselves. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "jais"`. */
export const jais: Family = {
  ...COMMON,
  architecture: "jais",
  positions: "sloped",
  alibiMaxBias: () => 0,
  norm: "layer",
  scales: ({ headDim }) => ({ attention: 1 / headDim }),
  requiredBiases: ["attn_qkv", "attn_output", "ffn_gate", "ffn_up", "ffn_down"],
};
