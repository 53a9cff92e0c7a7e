/** What a model answers by one thread, the test's own: a thread takes 0.1 s of CPU to start. */
import { assert } from "@std/assert";
import type { PlanOptions } from "../../src/rank/plan/plan.ts";
import { answerNow } from "./answer_now.ts";
import { type GivenPrompt, stepLogits } from "./given_rows.ts";
import { openRanks, type TestedRanks } from "./poisoned_rank.ts";

/** How a rank on the test's own thread is planned. */
type HereOptions = Partial<Pick<PlanOptions, "chunkTokens" | "kvType" | "contextLength">>;

/**
 * Logits of every position, [ids, vocab], and 16 greedy ids after the first 9, by one rank; and
 * logits of a prompt with rows of its own, if there is one.
 */
export async function answersHere(
  path: string,
  ids: readonly number[],
  options: HereOptions = {},
  prompt?: GivenPrompt,
): Promise<{
  readonly logits: Float32Array;
  readonly greedy: readonly number[];
  readonly ofPrompt: Float32Array | undefined;
}> {
  using ranks = await openHere(path, options);
  const logits = allLogits(ranks, ids);
  const request = { ids: ids.slice(0, 9), maxTokens: 16, sampling: { temperature: 0 }, endIds: [] };
  answerNow(ranks.leader, request);
  const greedy = [...ranks.outputIds.slice(0, 16)];
  return { logits, greedy, ofPrompt: prompt && stepLogits(ranks.runner, prompt) };
}

/** Logits alone. */
export async function logitsHere(
  path: string,
  ids: readonly number[],
  options: HereOptions = {},
): Promise<Float32Array> {
  using ranks = await openHere(path, options);
  return allLogits(ranks, ids);
}

function openHere(path: string, options: HereOptions): Promise<TestedRanks> {
  return openRanks(path, { contextLength: 256, ...options }, { poisons: false });
}

function allLogits({ leader, runner }: TestedRanks, ids: readonly number[]): Float32Array {
  const { vocabSize } = runner.setup.config;
  const logits = new Float32Array(ids.length * vocabSize);
  leader.texts.scoreAll(ids, (rows, position) => logits.set(rows, position * vocabSize));
  assert(logits.every(Number.isFinite));
  return logits;
}
