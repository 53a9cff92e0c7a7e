/** Nomic Embed 1: BERT with rotary positions and SwiGLU. */
import type { Family } from "../family.ts";
import { bert } from "./bert.ts";

/** The family `general.architecture = "nomic-bert"`. */
export const nomicBert: Family = {
  ...bert,
  architecture: "nomic-bert",
  positions: "neox",
  feedForward: { activation: "silu", isGated: true, activatesUp: false },
};
