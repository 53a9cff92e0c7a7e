/**
 * Prompts with images beside others: the same bits as alone, whatever of them was in the cache, and
 * the ids that the reference chooses.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { createLogprobRows } from "../../src/engine/logprob_rows.ts";
import type { EngineRequest, EngineResult, GivenRows } from "../../src/engine/types.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { answerNow } from "../support/answer_now.ts";
import { type GivenPrompt, idsOf, referenceIds, someRows } from "../support/given_rows.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { openRanks, type TestedRanks } from "../support/poisoned_rank.ts";
import { Rng } from "../support/rng.ts";
import type { TinyFamilyName } from "../support/tiny_families.ts";

const WIDTH = 64;
const TOKENS = 8;
/** What images of a family are like: rows, columns, and how their rows stand and see. */
const KINDS: Partial<Record<TinyFamilyName, Pick<GivenRows, "seesAll"> & { hasGrid: boolean }>> = {
  "gemma3": { seesAll: true, hasGrid: false },
  "qwen2vl": { seesAll: false, hasGrid: true },
  "llama": { seesAll: false, hasGrid: false },
  // Silent neurons: prompts take turns.
  "bamboo": { seesAll: true, hasGrid: false },
};
const SIZES = [[5, 7], [3, 11], [1, 1], [6, 6]] as const;

/** Tokens of the prompts that are used again: none end within rows that see each other. */
const USED = {
  "gemma3": [85, 94, 0, 69, 163, 0],
  "qwen2vl": [120, 94, 103, 69, 163, 36],
  "llama": [120, 94, 103, 69, 163, 36],
  // Whole chunks, where prompts have steps of their own.
  "bamboo": [0, 0, 0, 64, 0, 0],
};

/** Prompts of texts and images; some begin alike, and some end with an image or begin with one. */
function promptsOf({ seesAll, hasGrid }: { seesAll: boolean; hasGrid: boolean }): GivenPrompt[] {
  const rng = new Rng(5);
  const text = (length: number) => Array.from({ length }, () => rng.int(512));
  const images = SIZES.map(([rows, columns], i): GivenRows => ({
    ...{ firstId: -1000 * i - 1, seesAll, grid: hasGrid ? { rows, columns } : null },
    values: someRows(i, { count: rows * columns, width: WIDTH }),
  }));
  const [a, b, c, d] = images.map((rows) => idsOf(rows, WIDTH));
  const beginning = [...text(20), ...a, ...text(30)];
  return [
    [...beginning, ...b, ...text(3)],
    [...beginning, ...text(9), ...c],
    [...a, ...b, ...d],
    text(70),
    [...beginning, ...b, ...text(3), ...a, ...text(8)],
    [...d, ...text(1)],
  ].map((ids) => ({ ids, given: images }));
}

function requestOf({ ids, given }: GivenPrompt): EngineRequest {
  const logprobs = createLogprobRows(3, TOKENS);
  return { ids, given, maxTokens: TOKENS, sampling: { temperature: 0 }, endIds: [], logprobs };
}

/** Answers of requests that come at once, with the bits of their likeliest ids. */
function answer(ranks: TestedRanks, prompts: readonly GivenPrompt[], atOnce: number) {
  const { leader } = ranks;
  const answers = prompts.map(() => ({ words: [] as number[], cached: 0 }));
  const slots = Array.from({ length: atOnce }, (_, slot) => slot);
  for (let next = 0; next < prompts.length || leader.hasWork;) {
    while (next < prompts.length && slots.length > 0) {
      const number = next++, slot = slots.shift()!;
      const request = requestOf(prompts[number]);
      leader.begin(request, slot, {
        done: ({ timings }: EngineResult) => {
          const words = [...new Int32Array(request.logprobs!.words)];
          answers[number] = { words, cached: timings.cachedTokens! };
          slots.push(slot);
        },
        failed: (error) => assert(false, String(error)),
      });
    }
    leader.step();
  }
  return answers;
}

const bitsOf = (answers: ReturnType<typeof answer>) => answers.map(({ words }) => words);

/** The longest image leaves no room beside it. */
const PLAN = { contextLength: 256, chunkTokens: 36, sequences: 4, kvBlocks: 40 };

/** Chosen ids: the likeliest ones. */
function idsIn(words: readonly number[]): number[] {
  return Array.from({ length: TOKENS }, (_, i) => words[7 * i + 4]);
}

for (const architecture of ["gemma3", "qwen2vl", "llama", "bamboo"] as const) {
  const name = `prompts with images of ${architecture}`;
  Deno.test(`${name} are answered alike, alone, together and cached`, async () => {
    const prompts = promptsOf(KINDS[architecture]!);
    const plan = architecture === "bamboo" ? { ...PLAN, chunkTokens: 64 } : PLAN;
    await withTinyFile({ architecture, seed: 3 }, async (path) => {
      const alone: ReturnType<typeof answer> = [];
      for (const prompt of prompts) {
        using ranks = await openRanks(path, plan, { poisons: false });
        alone.push(...answer(ranks, [prompt], 1));
      }
      using ranks = await openRanks(path, plan, { poisons: false });
      assertEquals(bitsOf(answer(ranks, prompts, 4)), bitsOf(alone), "together");
      const cached = answer(ranks, prompts, 1);
      assertEquals(bitsOf(cached), bitsOf(alone), "cached");
      assertEquals(cached.map(({ cached }) => cached), USED[architecture]);
      const exact = new ReferenceModel(openGguf(path));
      for (const i of [1, 2]) {
        assertEquals(idsIn(alone[i].words), referenceIds(exact, prompts[i], TOKENS));
      }
    });
  });
}

Deno.test("who leaves in an image leaves nothing behind", async () => {
  const [prompt] = promptsOf({ seesAll: true, hasGrid: false });
  await withTinyFile({ architecture: "gemma3", seed: 3 }, async (path) => {
    using ranks = await openRanks(path, PLAN, { poisons: false });
    const { control } = ranks.runner;
    const join = control.join.bind(control);
    // In the second step, which is the first image's.
    let joins = 0;
    control.join = () => {
      if (++joins === 20) control.cancel(0);
      return join();
    };
    const reasons: string[] = [];
    const end = {
      done: ({ finishReason, timings }: EngineResult) =>
        reasons.push(`${finishReason} behind ${timings.predictedTokens}`),
      failed: (error: unknown) => assert(false, String(error)),
    };
    ranks.leader.begin(requestOf(prompt), 0, end);
    while (ranks.leader.hasWork) ranks.leader.step();
    assertEquals(reasons, ["cancelled behind 0"]);
    assertThrows(() => ranks.runner.given.put(-1, new Float32Array(WIDTH), 0), Error, "row");
    control.openSlot(0);
    const again = answer(ranks, [prompt], 1);
    using fresh = await openRanks(path, PLAN, { poisons: false });
    assertEquals(bitsOf(again), bitsOf(answer(fresh, [prompt], 1)));
  });
});

Deno.test("given rows are no tokens that came before, and stay out of files", async () => {
  const prompts = promptsOf({ seesAll: false, hasGrid: false });
  const [{ given }, , , text] = prompts;
  await withTinyFile({ seed: 3 }, async (path) => {
    using ranks = await openRanks(path, PLAN, { poisons: false });
    answer(ranks, prompts, 4);
    const copy = ranks.leader.archive({ modelFingerprint: "" })!.copy();
    // Of 77 ids that were computed of the only prompt without an image.
    assertEquals(copy.sizeBytes, copy.start.length + 2 * copy.recordBytes);
    assertEquals(
      ranks.leader.archive({ modelFingerprint: "" })!.copy(text.ids).next(1) === null,
      false,
    );

    const wanted = 44;
    const ids = [wanted, ...idsOf(given[0], WIDTH)];
    const bias = { temperature: 0, logitBias: new Map([[wanted, 1000]]), repeatLastN: 4 };
    for (const presencePenalty of [0, 2000]) {
      const sampling = { ...bias, presencePenalty };
      ranks.runner.control.openSlot(0);
      const request = { ids, given, sampling, maxTokens: 1, endIds: [] };
      answerNow(ranks.leader, request);
      assertEquals(ranks.outputIds[0] === wanted, presencePenalty === 0);
    }
  });
});

Deno.test("generate() takes rows along to all threads, and an image's in one step", async () => {
  const [, prompt] = promptsOf({ seesAll: true, hasGrid: false });
  await withTinyFile({ architecture: "gemma3", seed: 3 }, async (path) => {
    const exact = referenceIds(new ReferenceModel(openGguf(path)), prompt, TOKENS);
    await withModel(path, { threads: 3, chunkTokens: 8, wholeRows: 36 }, async (model) => {
      const options = { maxTokens: TOKENS, sampling: { temperature: 0 }, ignoreEnd: true };
      const { ids } = await model.generate({ ...prompt, ...options }).result;
      assertEquals(ids, exact);
      assertThrows(() => model.generate({ ids: prompt.ids, ...options }), RequestError, "-1");
      await assertRejects(() => model.promptLogprobs(prompt.ids, 1), RequestError, "-1");
      const long = { ...prompt.given[0], firstId: -9000, values: new Float32Array(37 * WIDTH) };
      const given = [...prompt.given, long];
      assertThrows(() => model.generate({ ...prompt, given, ...options }), RequestError, "37");
    });
  });
});
