/**
 * Several requests at once on a GPU: answers share steps, a row each, and are what each would be
 * alone, to the bit, by every way to multiply. On small models made from a seed.
 */
import { assertAlmostEquals, assertEquals, assertGreater } from "@std/assert";
import { independentRows } from "../../src/engine/row_independence.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { describeForUse, type LoadOptions, planModel } from "../../src/llm/mod.ts";
import { besideThreads, GPU_ALONE, GPU_ALONE_TUNED, gpuTest } from "../support/gpu_model.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { hearAlone, type Heard, hearTogether, someRequests } from "../support/some_requests.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";
import { loadKernelModule } from "../../wasm/mod.ts";

/** Prompts of several lengths, some that begin alike; answers that end one after another. */
const REQUESTS = someRequests(8, 24).map((request) => ({
  ...request,
  ids: request.ids.slice(-90),
}));
const SHAPE = { blockCount: 2, embeddingLength: 256, feedForwardLength: 512, contextLength: 300 };

async function assertSame(path: string, options: LoadOptions, count = 8) {
  const requests = REQUESTS.slice(0, count);
  let alone: Heard[] = [];
  await withModel(path, { ...options, parallel: 1 }, async (model) => {
    alone = await hearAlone(model, requests);
  });
  alone.forEach(({ ids, logprobs }) => assertGreater(logprobs.length, ids.length));
  await withModel(path, { ...options, parallel: count }, async (model) => {
    assertEquals(await hearTogether(model, requests), alone, "cold");
    assertEquals(await hearTogether(model, requests.toReversed()), alone.toReversed());
    assertEquals(await hearAlone(model, requests), alone, "alone again");
  });
}

Deno.test("answers share steps of a GPU, and one context's room where nobody says how many", () =>
  withTinyFile(SHAPE, async (path) => {
    const file = openGguf(path);
    const model = describeForUse(file);
    const module = await loadKernelModule();
    const plan = (parallel: LoadOptions["parallel"], neurons: number) => {
      const plans = planModel({ file, model }, module, { parallel, threads: 1 }, {
        ...{ isAlone: neurons === 1, mayBeSoftware: true, isByFrequency: false },
        priority: "normal",
        share: { heads: 1, neurons: [neurons], hasOutput: true, layers: SHAPE.blockCount },
      });
      assertEquals(independentRows(plans, { isObserved: false }), "answers");
      return { sequences: plans[0].sequences, kvBlocks: plans[0].kvBlocks };
    };
    const blocks = Math.ceil(SHAPE.contextLength / 32);
    for (const neurons of [0.5, 1]) {
      assertEquals(plan(3, neurons), { sequences: 3, kvBlocks: 3 * blocks });
      assertEquals(plan("auto", neurons), { sequences: 4, kvBlocks: blocks });
    }
  }));

const PROFILE = { profile: GPU_ALONE_TUNED.profile };
const MODELS: readonly (readonly [string, TinyModelOptions, LoadOptions])[] = [
  ["llama in F32", { architecture: "llama" }, GPU_ALONE],
  ["llama in Q4_0 by integers", { architecture: "llama", type: "Q4_0" }, GPU_ALONE_TUNED],
  ["llama beside two threads", { architecture: "llama" }, besideThreads(0.5, 2)],
  ["bamboo in Q4_0 beside a thread", { architecture: "bamboo", type: "Q4_0" }, {
    ...besideThreads(0.5),
    ...PROFILE,
  }],
];

for (const [name, form, options] of MODELS) {
  gpuTest(
    `a GPU answers eight requests of ${name} at once with the bits of each alone`,
    () => withTinyFile({ ...SHAPE, ...form }, (path) => assertSame(path, options)),
  );
}

gpuTest(
  "a GPU that has more neurons the more requests there are answers them nearly alike",
  () =>
    withTinyFile({ ...SHAPE, architecture: "bamboo", feedForwardLength: 320 }, async (path) => {
      const requests = REQUESTS.slice(0, 5);
      const options: LoadOptions = { ...besideThreads(0), hotShare: [0.2, 0.5, 0.8] };
      let alone: Heard[] = [];
      await withModel(path, { ...options, parallel: 1 }, async (model) => {
        alone = await hearAlone(model, requests);
      });
      await withModel(path, { ...options, parallel: 5 }, async (model) => {
        const together = await hearTogether(model, requests);
        assertEquals(together.map(({ ids }) => ids), alone.map(({ ids }) => ids));
        together.forEach(({ logprobs }, i) =>
          logprobs.forEach((each, j) => assertAlmostEquals(each, alone[i].logprobs[j], 1e-4))
        );
      });
    }),
);
