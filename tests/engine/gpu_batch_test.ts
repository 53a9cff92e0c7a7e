/**
 * Several requests at once on a GPU: answers share steps, a row each, and are what each would be
 * alone, to the bit, by every way to multiply. On small models made from a seed.
 */
import "../support/thread_pool.ts";
import { assertAlmostEquals, assertEquals, assertGreater } from "@std/assert";
import { independentRows } from "../../src/engine/row_independence.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { describeForUse, type LoadOptions, planModel } from "../../src/llm/mod.ts";
import { IS_DEEP } from "../support/deep.ts";
import { besideThreads, GPU_ALONE, GPU_ALONE_TUNED, gpuTest } from "../support/gpu_model.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import { hearAlone, type Heard, hearTogether, someRequests } from "../support/some_requests.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";
import { loadKernelModule } from "../../wasm/mod.ts";

sizesAsData();

/**
 * Prompts of several lengths, some that begin alike for more than a block of the caches; answers
 * that end one after another.
 */
const REQUESTS = someRequests(8, 16).map((request, i) => ({
  ...request,
  ids: i % 4 === 1 ? request.ids.slice(34) : request.ids.slice(-40),
}));
const SHAPE = { blockCount: 2, embeddingLength: 256, feedForwardLength: 512, contextLength: 300 };
/** Of floats, which come in no blocks; tests have one shape, so that shaders compile once. */
const SMALL = { ...SHAPE, embeddingLength: 128, feedForwardLength: 256 };

async function assertSame(path: string, options: LoadOptions, count: number) {
  const requests = REQUESTS.slice(0, count);
  let alone: Heard[] = [];
  await withModel(path, { ...options, parallel: 1 }, async (model) => {
    alone = await hearAlone(model, requests);
  });
  alone.forEach(({ ids, logprobs }) => assertGreater(logprobs.length, ids.length));
  await withModel(path, { ...options, parallel: count }, async (model) => {
    assertEquals(await hearTogether(model, requests), alone, "cold");
    assertEquals(await hearTogether(model, requests.toReversed()), alone.toReversed());
    assertEquals(await hearAlone(model, requests.slice(0, 3)), alone.slice(0, 3), "alone again");
  });
}

/** Plans of a model of which a GPU has a share of the neurons. */
async function plansOf(path: string, options: LoadOptions, neurons: number, contexts?: number) {
  const file = openGguf(path);
  const model = describeForUse(file);
  return planModel({ file, model }, await loadKernelModule(), { threads: 1, ...options }, {
    ...{ isAlone: neurons === 1, mayBeSoftware: true, isByFrequency: false, contexts },
    priority: "normal",
    share: { heads: 1, neurons: [neurons], hasOutput: true, layers: SHAPE.blockCount },
  });
}

Deno.test("answers share steps of a GPU, and the contexts that it has room for", () =>
  withTinyFile(SHAPE, async (path) => {
    const plan = async (parallel: LoadOptions["parallel"], neurons: number, contexts?: number) => {
      const plans = await plansOf(path, { parallel }, neurons, contexts);
      assertEquals(independentRows(plans, { isObserved: false }), "answers");
      assertEquals(independentRows(plans, { isObserved: true }), "none");
      return { sequences: plans[0].sequences, kvBlocks: plans[0].kvBlocks };
    };
    const blocks = Math.ceil(SHAPE.contextLength / 32);
    for (const neurons of [0.5, 1]) {
      assertEquals(await plan(3, neurons), { sequences: 3, kvBlocks: 3 * blocks });
      assertEquals(await plan("auto", neurons), { sequences: 4, kvBlocks: blocks });
      assertEquals(await plan("auto", neurons, 4), { sequences: 4, kvBlocks: 4 * blocks });
    }
  }));

Deno.test("answers take turns where threads beside a GPU compute all of a down neuron by neuron", () =>
  withTinyFile(
    { ...SHAPE, architecture: "bamboo", type: "Q4_0", magic: "PWRI" },
    async (path) => {
      const independent = async (sparse: boolean, neurons: number) => {
        const plans = await plansOf(path, { parallel: 4, sparse }, neurons);
        return independentRows(plans, { isObserved: false });
      };
      assertEquals(await independent(true, 0.5), "answers");
      assertEquals(await independent(false, 0.5), "none");
      assertEquals(await independent(false, 1), "answers");
    },
  ));

gpuTest(
  "a GPU answers two requests beside each other that may fill the context, by default",
  () =>
    withTinyFile(
      SMALL,
      (path) =>
        withModel(path, { ...GPU_ALONE, parallel: "auto", contextLength: 40 }, async (model) => {
          const events: string[] = [];
          const ask = async (name: string, ids: number[]) => {
            for await (const chunk of model.generate({ ids, ignoreEnd: true })) {
              if (chunk.ids.length > 0 && events.at(-1) !== name) {
                events.push(name);
              }
            }
            events.push(`${name} ends`);
          };
          await Promise.all([ask("a", [5, 6, 7]), ask("b", [8, 9])]);
          assertGreater(events.indexOf("a ends"), events.indexOf("b"));
          assertGreater(events.indexOf("b ends"), events.indexOf("a"));
        }),
    ),
);

gpuTest(
  "a GPU computes a prompt once for several answers, unless they have to be repeatable",
  () =>
    withTinyFile(SMALL, (path) =>
      withModel(path, { ...GPU_ALONE, parallel: 3 }, async (model) => {
        const cachedOf = async (text: number, sampling: (fork: number) => { seed?: number }) => {
          const ids = Array.from({ length: 75 }, (_, i) => 3 + (i * text) % 400);
          const results = await Promise.all(
            [0, 1, 2].map((fork) =>
              model.generate({ ids, maxTokens: 4, sampling: sampling(fork), ignoreEnd: true })
                .result
            ),
          );
          return results.map(({ timings }) => timings.cachedTokens);
        };
        assertEquals(await cachedOf(7, () => ({})), [0, 64, 64]);
        assertEquals(await cachedOf(11, (seed) => ({ seed })), [0, 0, 0]);
      })),
);

gpuTest(
  "a request that is given up leaves those that share a GPU's steps their bits",
  () =>
    withTinyFile(SMALL, async (path) => {
      const requests = REQUESTS.slice(0, 3);
      await withModel(path, { ...GPU_ALONE, parallel: 4 }, async (model) => {
        const alone = await hearAlone(model, requests);
        const leaver = new AbortController();
        const leave = async () => {
          let heard = 0;
          const request = {
            ids: [4, 5, 6],
            ignoreEnd: true,
            maxTokens: 200,
            signal: leaver.signal,
          };
          for await (const { ids } of model.generate(request)) {
            heard += ids.length;
            if (heard > 5) leaver.abort();
          }
          return heard;
        };
        const [together, heard] = await Promise.all([hearTogether(model, requests), leave()]);
        assertEquals(together, alone);
        assertGreater(200, heard);
        assertGreater(heard, 5);
      });
    }),
);

/** Eight in `test:deep`. */
const FEWER: readonly [] | readonly [4] = IS_DEEP ? [] : [4];
const PROFILE = { profile: GPU_ALONE_TUNED.profile };
/**
 * Eight requests have shaders of eight tokens, which the gate has of ranks
 * (tests/rank/gpu_batch_test.ts), and by integers in tests/gpu/cases/apart.ts. Four where something
 * else is the subject.
 */
const MODELS: readonly (readonly [string, TinyModelOptions, LoadOptions, requests?: 4])[] = [
  ["llama in F32", { ...SMALL, architecture: "llama" }, GPU_ALONE],
  ["llama in Q4_0 by integers", { ...SMALL, architecture: "llama", type: "Q4_0" }, {
    ...GPU_ALONE_TUNED,
  }, ...FEWER],
  ["llama beside two threads", { ...SMALL, architecture: "llama" }, besideThreads(0.5, 2), 4],
  ["falcon-h1 in F32", { ...SMALL, architecture: "falcon-h1" }, GPU_ALONE, 4],
  // By steps for which there are no tiles: these are llama's.
  ["qwen35 in Q4_0 by integers", { ...SMALL, architecture: "qwen35", type: "Q4_0" }, {
    ...GPU_ALONE_TUNED,
    chunkTokens: 32,
  }, 4],
  ["lfm2 in F32 beside a thread", { ...SMALL, architecture: "lfm2" }, besideThreads(0.5), 4],
  ["bamboo in Q4_0 beside a thread", { ...SMALL, architecture: "bamboo", type: "Q4_0" }, {
    ...besideThreads(0.5),
    ...PROFILE,
  }, 4],
];

const DEEP: Readonly<Record<string, string>> = {
  "llama in F32": "tests/rank/gpu_batch_test.ts has such ranks of llama and lfm2",
  "falcon-h1 in F32": "tests/rank/gpu_batch_test.ts has such ranks of llama and lfm2",
  "llama beside two threads": "lfm2 and bamboo are beside a thread",
};

for (const [name, form, options, requests = 8] of MODELS) {
  gpuTest(
    `a GPU answers ${requests} requests of ${name} at once with the bits of each alone`,
    () => withTinyFile({ ...SHAPE, ...form }, (path) => assertSame(path, options, requests)),
    { deep: DEEP[name] },
  );
}

gpuTest(
  "a GPU that has more neurons the more requests there are answers them nearly alike",
  () =>
    withTinyFile({ ...SMALL, architecture: "bamboo", feedForwardLength: 320 }, async (path) => {
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
