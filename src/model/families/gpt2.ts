/** GPT-2: positions are learned and added; layer norms, GELU without a gate, biases everywhere. */
import type { Family } from "../family.ts";
import { starcoder2 } from "./starcoder2.ts";

/** The family `general.architecture = "gpt2"`. */
export const gpt2: Family = {
  ...starcoder2,
  architecture: "gpt2",
  positions: "learned",
};
