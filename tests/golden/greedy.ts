/** Greedy continuation by the reference model. */
import { argmax } from "../../src/reference/ops.ts";
import type { ReferenceModel } from "../../src/reference/forward.ts";
import { lastRow } from "../support/compare.ts";

/** The `count` ids that follow `prompt`, each the likeliest; nothing ends it earlier. */
export function greedyIds(model: ReferenceModel, prompt: readonly number[], count: number) {
  const { vocabSize } = model.config;
  const ids: number[] = [];
  let logits = model.forward(prompt);
  while (ids.length < count) {
    const id = argmax(lastRow(logits, vocabSize));
    ids.push(id);
    if (ids.length < count) logits = model.forward([id], prompt.length + ids.length - 1);
  }
  return ids;
}
