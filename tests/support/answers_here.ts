/** What a model answers by one thread, the test's own: a thread takes 0.1 s of CPU to start. */
import { assert } from "@std/assert";
import type { PlanOptions } from "../../src/rank/plan/plan.ts";
import { answerNow } from "./answer_now.ts";
import { type GivenPrompt, stepLogits } from "./given_rows.ts";
import { openRanks } from "./poisoned_rank.ts";

/**
 * Logits of every position, [ids, vocab], and 16 greedy ids after the first 9, by one rank; and
 * logits of a prompt with rows of its own, if there is one.
 */
export async function answersHere(
  path: string,
  ids: readonly number[],
  options: Partial<Pick<PlanOptions, "chunkTokens" | "kvType" | "contextLength">> = {},
  prompt?: GivenPrompt,
): Promise<{
  readonly logits: Float32Array;
  readonly greedy: readonly number[];
  readonly ofPrompt: Float32Array | undefined;
}> {
  const all = { contextLength: 256, ...options };
  using ranks = await openRanks(path, all, { poisons: false });
  const rows: number[] = [];
  ranks.leader.texts.scoreAll(ids, (some) => rows.push(...some));
  const logits = Float32Array.from(rows);
  assert(logits.every(Number.isFinite));
  const request = { ids: ids.slice(0, 9), maxTokens: 16, sampling: { temperature: 0 }, endIds: [] };
  answerNow(ranks.leader, request);
  const greedy = [...ranks.outputIds.slice(0, 16)];
  return { logits, greedy, ofPrompt: prompt && stepLogits(ranks.runner, prompt) };
}
