/** Orion: Llama with layer norms and pairs half a head apart. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "orion"`. */
export const orion: Family = {
  ...COMMON,
  architecture: "orion",
  positions: "neox",
  norm: "layer",
};
