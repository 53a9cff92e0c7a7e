/** Llama 1 to 3, Mistral, and all that their converters call "llama". */
import type { Family } from "../family.ts";

/** The family `general.architecture = "llama"`. */
export const llama: Family = {
  architecture: "llama",
  ropeKind: "norm",
  qkvBias: "optional",
  slidingWindow: true,
};
