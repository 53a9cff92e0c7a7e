/** SmolLM 3: Llama, but every fourth layer knows no positions. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "smollm3"`. */
export const smollm3: Family = {
  ...COMMON,
  architecture: "smollm3",
  positions: "norm",
  unrotatedPeriod: 4,
};
