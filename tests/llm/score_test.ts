/** Scores of texts: the engine's against those of its own logits. */
import "../support/thread_pool.ts";
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { RequestError, WorkerError } from "../../src/base/errors.ts";
import { negativeLogProbability } from "../../src/engine/log_probability.ts";
import { loadModel } from "../../src/llm/mod.ts";
import { allLogits, withModel, withTinyFile } from "../support/loaded_model.ts";
import { Rng } from "../support/rng.ts";

const rng = new Rng(6);
const IDS = Array.from({ length: 200 }, () => rng.int(512));

for (const threads of [1, 3]) {
  Deno.test(`negativeLogLikelihood() sums what ${threads}-thread logits say`, async () => {
    await withTinyFile({}, async (path) => {
      await withModel(path, { threads, contextLength: 200, chunkTokens: 32 }, async (model) => {
        const logits = await allLogits(model, IDS);
        const surprise = IDS.map((id, index) =>
          index === 0 ? 0 : negativeLogProbability(
            logits.subarray((index - 1) * 512, index * 512),
            id,
          )
        );
        // Around the ends of chunks, and of the 16 rows of logits that are kept at once.
        for (const from of [1, 2, 16, 17, 31, 32, 33, 34, 65, 101, 198, 199, 200]) {
          const expected = surprise.slice(from).reduce((sum, x) => sum + x, 0);
          const actual = await model.negativeLogLikelihood(IDS, from);
          assertAlmostEquals(actual, expected, 1e-4 * (1 + expected), `from ${from}`);
        }
        // About log 512 each, as for any model of random weights.
        const mean = await model.negativeLogLikelihood(IDS, 1) / 199;
        assert(mean > 5 && mean < 11, `${mean}`);
        assertEquals(await model.negativeLogLikelihood([7], 1), 0);
      });
    });
  });
}

Deno.test("negativeLogLikelihood() leaves the model as it was for the next request", async () => {
  await withTinyFile({}, async (path) => {
    await withModel(path, { threads: 2 }, async (model) => {
      const request = { ids: IDS.slice(0, 50), maxTokens: 8, sampling: { temperature: 0 } };
      const before = await model.generate(request).result;
      await model.negativeLogLikelihood(IDS, 100);
      assertEquals((await model.generate(request).result).ids, before.ids);
    });
  });
});

Deno.test("negativeLogLikelihood() refuses ids that do not fit, alone", async () => {
  await withTinyFile({}, async (path) => {
    await withModel(path, { threads: 1, contextLength: 100 }, async (model) => {
      const score = (ids: number[], from = 1) => model.negativeLogLikelihood(ids, from);
      await assertRejects(() => score(IDS), RequestError, "the context holds 100");
      await assertRejects(() => score([]), RequestError, "empty");
      await assertRejects(() => score([1, 512]), RequestError, "token id 512");
      await assertRejects(() => score([1, -1]), RequestError, "token id -1");
      for (const from of [0, 1.5, NaN]) await assertRejects(() => score([1, 2], from), Error);
      assert(await score([1, 2]) > 0);
    });
  });
});

Deno.test("negativeLogLikelihood() rejects when the model is closed meanwhile", async () => {
  await withTinyFile({ contextLength: 8192 }, async (path) => {
    const model = await loadModel(path, { threads: 2 });
    const ids = Array.from({ length: 8000 }, (_, i) => 3 + i % 500);
    const score = model.negativeLogLikelihood(ids, 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const [outcome] = await Promise.allSettled([score, model.close()]);
    assertEquals(outcome.status, "rejected");
    assert((outcome as PromiseRejectedResult).reason instanceof WorkerError);
  });
});
