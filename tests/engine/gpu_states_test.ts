/**
 * Models whose layers keep states, on a GPU: what is remembered of a text and where others go on
 * behind it, and what a step that does not count leaves. tests/engine/sequence_states_test.ts is
 * about the same of threads.
 */
import "../support/thread_pool.ts";
import { assertEquals, assertGreater } from "@std/assert";
import type { LoadOptions } from "../../src/llm/mod.ts";
import { besideThreads, GPU_ALONE, gpuTest } from "../support/gpu_model.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import { ask, request, text } from "../support/state_texts.ts";

sizesAsData();

const FORM = { architecture: "qwen35", seed: 3, contextLength: 400 } as const;
const WAYS: readonly LoadOptions[] = [GPU_ALONE, besideThreads(0.3)];

/** What a thread answers with nothing before it. */
async function fresh(path: string, prompts: readonly (readonly number[])[], maxTokens = 8) {
  const answers: (readonly number[])[] = [];
  for (const prompt of prompts) {
    const heard = await withModel(
      path,
      { threads: 1, gpu: "off" },
      (model) => ask(model, prompt, maxTokens),
    );
    answers.push(heard.answer);
  }
  return answers;
}

gpuTest(
  "a text that goes on is computed on a GPU from the state behind whole chunks",
  () =>
    withTinyFile(FORM, async (path) => {
      const first = text(100);
      const longer = [...first, 5, 6, 7];
      const parted = [...text(70), ...text(30, 3)];
      const expected = await fresh(path, [first, longer, parted, parted]);
      for (const way of WAYS) {
        // A state is left at 96, where a step ends, and at 64, within one, where two texts part.
        await withModel(path, { ...way, chunkTokens: 48 }, async (model) => {
          assertEquals(await ask(model, first), { answer: expected[0], cached: 0 });
          assertEquals(await ask(model, first), { answer: expected[0], cached: 96 });
          assertEquals(await ask(model, longer), { answer: expected[1], cached: 96 });
          assertEquals((await ask(model, parted)).answer, expected[2]);
          assertEquals(await ask(model, parted), { answer: expected[3], cached: 96 });
        });
      }
    }),
);

/** Tokens that who stays is answered: most of them are computed behind those who leave. */
const ANSWER = 24;

gpuTest(
  "who leaves in the middle of a GPU's step changes no state of the others",
  () =>
    withTinyFile(FORM, async (path) => {
      const prompts = [text(60), text(80, 3)];
      const expected = await fresh(path, prompts, ANSWER);
      await withModel(path, { ...GPU_ALONE, parallel: 3, chunkTokens: 48 }, async (model) => {
        const others = prompts.map((ids) => model.generate(request(ids, ANSWER)));
        let heard = 0;
        const leaving = Array.from({ length: 4 }, async (_, i) => {
          const abort = new AbortController();
          const generation = model.generate({
            ...request(text(100, 5 + i), 100),
            signal: abort.signal,
          });
          for await (const { ids } of generation) {
            heard += ids.length;
            break;
          }
          abort.abort();
          await generation.result.catch(() => {});
        });
        const results = await Promise.all(others.map(({ result }) => result));
        await Promise.all(leaving);
        assertGreater(heard, 0);
        assertEquals(results.map(({ ids }) => ids), expected);
        assertEquals(model.kv.usedTokens, 0);
        // More texts than there is room for states.
        for (let i = 0; i < 8; i++) await ask(model, text(50 + i, i + 2), 2);
        assertEquals((await ask(model, prompts[1], ANSWER)).answer, expected[1]);
      });
    }),
);
