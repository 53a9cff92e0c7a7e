/** InternLM 2 and 3: Llama by another name. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "internlm2"`. */
export const internlm2: Family = {
  ...COMMON,
  architecture: "internlm2",
  positions: "norm",
};
