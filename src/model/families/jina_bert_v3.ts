/** Jina Embeddings 3: BERT with rotary positions. */
import type { Family } from "../family.ts";
import { bert } from "./bert.ts";

/** The family `general.architecture = "jina-bert-v3"`. */
export const jinaBertV3: Family = {
  ...bert,
  architecture: "jina-bert-v3",
  positions: "neox",
};
