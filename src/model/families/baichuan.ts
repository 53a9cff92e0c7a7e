/** Baichuan 7B: Llama; the 13B bends scores by distance instead of turning heads. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "baichuan"`. */
export const baichuan: Family = {
  ...COMMON,
  architecture: "baichuan",
  positions: "norm",
  obstacle: ({ blockCount }) =>
    blockCount === 40 ? "it has 40 layers, whose positions are slopes of scores (ALiBi)" : null,
};
