/** Qwen 3.5: of four layers three correct a state, one attends, whose heads are gated. */
import type { Family } from "../family.ts";
import { qwen3 } from "./qwen3.ts";

/** The family `general.architecture = "qwen35"`; of pictures nothing is read. */
export const qwen35: Family = {
  ...qwen3,
  architecture: "qwen35",
  guessing: "normedRows",
  sections: "interleaved",
  feedForwardNorm: "post_attention_norm",
  attentionGates: "besideQueries",
  stateSpace: { kind: "deltas", attention: "instead", neurons: "each", headsTakeTurns: true },
};
