/** LLaDA: Llama that fills in masks, and reads both ways. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "llada"`. */
export const llada: Family = {
  ...COMMON,
  architecture: "llada",
  positions: "norm",
  fills: true,
};
