/** StarCoder 1 and SantaCoder: GPT-2 whose heads share one key and value. */
import type { Family } from "../family.ts";
import { gpt2 } from "./gpt2.ts";

/** The family `general.architecture = "starcoder"`. */
export const starcoder: Family = {
  ...gpt2,
  architecture: "starcoder",
};
