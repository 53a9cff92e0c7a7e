/** MiniCPM 3: latent attention and the scales of MiniCPM, which no key names. */
import type { Family } from "../family.ts";
import { minicpm } from "./minicpm.ts";

/** The family `general.architecture = "minicpm3"`. */
export const minicpm3: Family = {
  ...minicpm,
  architecture: "minicpm3",
  positions: "neox",
  hasLatentAttention: true,
};
