/** Jina Embeddings 2: BERT whose scores fall with distance, with GEGLU in most sizes. */
import type { Family } from "../family.ts";
import { bert } from "./bert.ts";

/** The family `general.architecture = "jina-bert-v2"`. */
export const jinaBertV2: Family = {
  ...bert,
  architecture: "jina-bert-v2",
  positions: "sloped",
  alibiMaxBias: () => 8,
  feedForward: { activation: "gelu", isGated: true, activatesUp: false },
  fusesGateAndUp: "said",
};
