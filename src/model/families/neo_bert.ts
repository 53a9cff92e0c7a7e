/** NeoBERT: norms before the blocks, SwiGLU in one tensor. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "neo-bert"`. */
export const neoBert: Family = {
  ...COMMON,
  architecture: "neo-bert",
  isEncoder: true,
  positions: "norm",
  fusesGateAndUp: true,
  outputNorm: "enc.output_norm",
};
