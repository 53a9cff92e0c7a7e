/** Baichuan 7B: Llama; in the 13B scores fall with distance instead, and heads are not turned. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "baichuan"`. */
export const baichuan: Family = {
  ...COMMON,
  architecture: "baichuan",
  positions: "norm",
  alibiMaxBias: ({ blockCount }) => blockCount === 40 ? 8 : 0,
};
