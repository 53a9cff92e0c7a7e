/** Answers of requests, and how many of the ids that were guessed for them were right. */
import { assertEquals, assertGreater } from "@std/assert";
import type { GenerateRequest, LoadedModel } from "../../src/llm/mod.ts";
import { Rng } from "./rng.ts";

/** An answer without its times, which differ from run to run. */
export async function guessedAnswer(model: LoadedModel, request: GenerateRequest) {
  const generation = model.generate(request);
  const logprobs: unknown[] = [];
  for await (const chunk of generation) logprobs.push(...chunk.logprobs ?? []);
  const { timings, ...result } = await generation.result;
  const { draftedTokens: drafted = 0, acceptedTokens: accepted = 0 } = timings;
  return { answer: { ...result, logprobs }, drafted, accepted, timings };
}

/** Those of all requests, at once or one after the other; share: of guesses that were right. */
export async function guessedAnswers(
  model: LoadedModel,
  requests: readonly GenerateRequest[],
  together: boolean,
) {
  const all: Awaited<ReturnType<typeof guessedAnswer>>[] = [];
  if (together) all.push(...await Promise.all(requests.map((each) => guessedAnswer(model, each))));
  else for (const request of requests) all.push(await guessedAnswer(model, request));
  const sum = (of: "drafted" | "accepted") => all.reduce((count, each) => count + each[of], 0);
  const [drafted, accepted] = [sum("drafted"), sum("accepted")];
  const share = accepted / Math.max(1, drafted);
  return { answers: all.map((each) => each.answer), drafted, accepted, share };
}

/** Three times all requests at once, half of which leave at any moment: those ids are the same. */
export async function assertSomeMayLeave(
  model: LoadedModel,
  requests: readonly GenerateRequest[],
): Promise<void> {
  const rng = new Rng(5);
  const { answers: alone } = await guessedAnswers(model, requests, false);
  let cut = 0;
  for (let round = 0; round < 3; round++) {
    await Promise.all(requests.map(async (request, i) => {
      const abort = new AbortController();
      const generation = model.generate({ ...request, signal: abort.signal });
      if (rng.int(2) === 0) setTimeout(() => abort.abort(), rng.int(15));
      const { ids, finishReason } = await generation.result;
      const isCut = finishReason === "cancelled";
      if (isCut) cut++;
      assertEquals(ids, isCut ? alone[i].ids.slice(0, ids.length) : alone[i].ids);
    }));
  }
  assertGreater(cut, 0);
}
