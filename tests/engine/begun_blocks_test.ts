/**
 * Prompts that go on within a block of keys and values that another one began: answered to the bit
 * as if all of it had been computed, family by family, whatever a layer keeps of tokens.
 */
import "../support/thread_pool.ts";
import { assertEquals } from "@std/assert";
import { createLogprobRows } from "../../src/engine/logprob_rows.ts";
import type { PlanOptions } from "../../src/rank/plan/plan.ts";
import { answerNow } from "../support/answer_now.ts";
import { IS_DEEP } from "../support/deep.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { openRanks, type TestedRanks } from "../support/poisoned_rank.ts";
import { randomIds } from "../support/rng.ts";
import { TINY_FAMILIES, type TinyFamilyName } from "../support/tiny_families.ts";

/** Windows, latents, chosen keys, keys of several tokens, other layers' keys, norms of values. */
const IN_GATE: readonly TinyFamilyName[] = [
  "llama",
  "gemma4",
  "deepseek2",
  "deepseek32-chosen",
  "glm-dsa-chosen",
  "deepseek4",
  "dots3note-chosen",
  "hy_v4-chosen",
  "llama4-chunked",
  "minicpm3",
  "minimax-m3",
  "step35",
];
/** What a layer keeps is of a block's end, or rows are not the same beside others. */
const WHOLE_BLOCKS: readonly TinyFamilyName[] = [
  "bamboo",
  "gemma3n",
  "jamba",
  "lfm2",
  "qwen35moe",
  "qwen4exp",
  "rwkv7",
];
const FAMILIES = IS_DEEP ? Object.keys(TINY_FAMILIES) as TinyFamilyName[] : [];
const PROMPT_TOKENS = 75, SHARED_TOKENS = 53;
const PLAN: Partial<PlanOptions> = { contextLength: 160, chunkTokens: 32, rankCount: 1 };

const FIRST = randomIds(PROMPT_TOKENS, { end: 500, seed: 3 });
/** Leaves the first one within its second block, and goes on behind it. */
const BRANCH = [...FIRST.slice(0, SHARED_TOKENS), ...randomIds(30, { end: 500, seed: 4 })];
const LONGER = [...FIRST, ...randomIds(20, { end: 500, seed: 5 })];

/** Bits of the answer's likeliest ids, and how many of the prompt's ids were used again. */
function answer({ leader }: TestedRanks, ids: number[]) {
  const logprobs = createLogprobRows(3, 6);
  const request = { ids, maxTokens: 6, sampling: { temperature: 0 }, endIds: [], logprobs };
  const { timings } = answerNow(leader, request);
  return { words: [...new Int32Array(logprobs.words)], cached: timings.cachedTokens };
}

async function cold(path: string, plan: Partial<PlanOptions>, ids: number[]) {
  using ranks = await openRanks(path, plan, { poisons: false });
  return answer(ranks, ids).words;
}

/** Tokens used again by the branch, and by what is longer. */
async function cachedOf(path: string, plan: Partial<PlanOptions>): Promise<(number | undefined)[]> {
  using ranks = await openRanks(path, plan, { poisons: false });
  answer(ranks, FIRST);
  const branch = answer(ranks, BRANCH);
  assertEquals(branch.words, await cold(path, plan, BRANCH), "a branch");
  const longer = answer(ranks, LONGER);
  assertEquals(longer.words, await cold(path, plan, LONGER), "what is longer");
  const again = answer(ranks, BRANCH);
  assertEquals(again.words, branch.words, "the branch again");
  return [branch.cached, longer.cached];
}

for (const architecture of new Set([...IN_GATE, ...WHOLE_BLOCKS, ...FAMILIES])) {
  const isWhole = WHOLE_BLOCKS.includes(architecture);
  Deno.test(`a prompt of ${architecture} goes on within another one's block`, async () => {
    await withTinyFile({ architecture, seed: 3, contextLength: 160 }, async (path) => {
      for (const kvType of IS_DEEP ? ["f32", "i16"] as const : ["i16"] as const) {
        const [branch, longer] = await cachedOf(path, { ...PLAN, kvType });
        if (IN_GATE.includes(architecture)) {
          assertEquals([branch, longer], [SHARED_TOKENS, PROMPT_TOKENS]);
        } else if (isWhole) {
          assertEquals([branch! % 32, longer! % 32], [0, 0]);
        }
      }
    });
  });
}
