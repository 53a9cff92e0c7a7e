/** GPT-NeoX and Pythia: parallel blocks, each with a norm of its own; biases everywhere. */
import type { Family } from "../family.ts";
import { starcoder2 } from "./starcoder2.ts";

/** The family `general.architecture = "gptneox"`. */
export const gptneox: Family = {
  ...starcoder2,
  architecture: "gptneox",
  mayBeParallel: "said",
};
