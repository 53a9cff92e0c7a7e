/** LiquidAI's LFM2: most layers convolve over three tokens, a few attend. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "lfm2"`. */
export const lfm2: Family = {
  ...COMMON,
  architecture: "lfm2",
  positions: "neox",
  headNorms: "shared",
  windows: "all",
  mayConvolve: true,
  outputNorm: "token_embd_norm",
};
