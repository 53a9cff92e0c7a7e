/** Llama that reads both ways: Llama Embed Nemotron. */
import type { Family } from "../family.ts";
import { llama } from "./llama.ts";

/** The family `general.architecture = "llama-embed"`. */
export const llamaEmbed: Family = {
  ...llama,
  architecture: "llama-embed",
  isEncoder: true,
  windows: "none",
};
