/**
 * An engine with a GPU that has all of an encoder beside one of threads: texts alone and together,
 * pairs that are ranked, a GPU that is lost. Families are in tests/rank/gpu_encoders_test.ts.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import type { LoadedModel, LoadOptions } from "../../src/llm/mod.ts";
import { nmse } from "../support/compare.ts";
import { GPU_ALONE, gpuTest } from "../support/gpu_model.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { Rng } from "../support/rng.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";

sizesAsData();

/** F32 weights, keys and values: only the order of sums differs. */
const F32_NMSE = 1e-11;
const IDS = Array.from({ length: 70 }, ((rng) => () => rng.int(512))(new Rng(7)));
/** All of them are one step. */
const TEXTS = [[0, 40], [40, 41], [3, 20], [30, 70]].map(([from, to]) => IDS.slice(from, to));

/** What both ways of computing give. */
async function both<T>(path: string, gpu: LoadOptions, ask: (model: LoadedModel) => Promise<T>) {
  const given: T[] = [];
  for (const options of [{ threads: 1, gpu: "off" }, gpu] as const) {
    await withModel(path, options, async (model) => {
      assertEquals(model.gpu !== null, options.gpu !== "off");
      given.push(await ask(model));
    });
  }
  return given;
}

gpuTest(
  "a GPU makes an encoder's vectors of several texts in one step, and of each alone",
  () =>
    withTinyFile({ architecture: "bert", seed: 3 }, async (path) => {
      const [expected, actual] = await both(path, GPU_ALONE, async (model) => [
        ...await model.embed(TEXTS),
        ...(await Promise.all(TEXTS.map((text) => model.embed([text])))).flat(),
      ]);
      actual.forEach((vector, i) => assertLess(nmse(vector, expected[i]), F32_NMSE, `vector ${i}`));
    }),
);

gpuTest(
  "a GPU that is lost fails its texts, and the next ones are read",
  () =>
    withTinyFile({ architecture: "bert-ranker", seed: 3 }, async (path) => {
      const scoresOf = (model: LoadedModel) => model.rank(TEXTS);
      const [expected, actual] = await both(
        path,
        { ...GPU_ALONE, gpuLossAtStep: 2 },
        async (model) => {
          const scores = await scoresOf(model);
          if (model.gpu === null) return scores;
          await assertRejects(() => scoresOf(model), Error, "GPU");
          const again = await scoresOf(model);
          assert(model.gpu !== null, "the GPU is back");
          assertEquals(again, scores);
          return scores;
        },
      );
      assertLess(nmse(Float64Array.from(actual), Float64Array.from(expected)), F32_NMSE);
    }),
);
