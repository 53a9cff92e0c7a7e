/**
 * Qwen 4, as llama.cpp knows it: Qwen 3.5's layers and experts over several residual streams that
 * are gated, keys that an indexer chooses by groups, and rows that several tokens name together.
 */
import type { Family } from "../family.ts";
import { qwen35moe } from "./qwen35moe.ts";

/** The family `general.architecture = "qwen4exp"`; of pictures nothing is read. */
export const qwen4exp: Family = {
  ...qwen35moe,
  architecture: "qwen4exp",
  guessing: null,
  hasPreNorms: false,
  gatesStreams: true,
  unused: ["q_proj", "k_proj", "q_norm", "k_norm"].map((name) => `indexer.${name}`),
  stateSpace: { ...qwen35moe.stateSpace!, gatesBySigmoid: true },
};
