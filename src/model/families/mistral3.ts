/** Ministral 3: Llama with YaRN, whose queries grow with their positions. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "mistral3"`. */
export const mistral3: Family = {
  ...COMMON,
  architecture: "mistral3",
  positions: "norm",
  hasAttentionTemperature: true,
};
