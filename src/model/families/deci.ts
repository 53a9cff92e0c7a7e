/** Llamas that were made smaller layer by layer: Nemotron Super and Ultra, DeciLM. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "deci"`. */
export const deci: Family = {
  ...COMMON,
  architecture: "deci",
  positions: "norm",
  layersDiffer: true,
  layersMayLack: true,
};
