/** Texts for models whose layers keep states, and what is asked of such models. */
import type { GenerateRequest, LoadedModel } from "../../src/llm/mod.ts";

/** Ids of a text, which say little of one another. */
export function text(length: number, seed = 1): number[] {
  return Array.from({ length }, (_, i) => 3 + (i * i * seed + 7 * i) % 500);
}

/** What continues ids, with whatever is likeliest. */
export function request(ids: readonly number[], maxTokens = 8): GenerateRequest {
  return { ids: [...ids], maxTokens, sampling: { temperature: 0 }, ignoreEnd: true };
}

/** Ids of an answer, and how many of the prompt's were not computed. */
export async function ask(model: LoadedModel, ids: readonly number[], maxTokens = 8) {
  const { ids: answer, timings } = await model.generate(request(ids, maxTokens)).result;
  return { answer, cached: timings.cachedTokens };
}
