/** CogVLM, of which texts are read: Llama, with matrices for images, which stay in the file. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "cogvlm"`. */
export const cogvlm: Family = {
  ...COMMON,
  architecture: "cogvlm",
  positions: "neox",
  unused: ["attn_qkv", "attn_output", "gate", "up", "down"].map((name) => `vis_${name}`),
};
