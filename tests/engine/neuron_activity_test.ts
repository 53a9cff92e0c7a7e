/** What layers' neurons do is counted as it happens: small models made from a seed. */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertGreater } from "@std/assert";
import { loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import type { LayerActivity } from "../../src/llm/types.ts";
import { besideThreads, gpuTest } from "../support/gpu_model.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { FEW_SLOTS, withPacked } from "../support/packed_model.ts";
import { randomIds } from "../support/rng.ts";

const IDS = randomIds(11, { end: 256, seed: 8 });
const WIDTH = 96;
const LAYERS = 3;
/** Every token but the last is computed. */
const TOKENS = IDS.length + 5;

Deno.test("LoadedModel.neurons counts every neuron of every token of a dense model", () =>
  withTinyFile({ blockCount: LAYERS, feedForwardLength: WIDTH }, async (path) => {
    const { activity } = await answered(path, { threads: 2 });
    assertEquals(activity.isStreamed, false);
    const layer = { neurons: TOKENS * WIDTH, hot: 0, skipped: 0, cacheHits: 0, cacheMisses: 0 };
    const expected = { ...layer, diskReads: 0, diskBytes: 0 };
    assertEquals(activity.layers, Array(LAYERS).fill(expected));
  }));

Deno.test("LoadedModel.neurons tells for each layer what was left out, as the timings do", () =>
  withTinyFile(
    { architecture: "bamboo", blockCount: LAYERS, feedForwardLength: WIDTH },
    async (path) => {
      const { activity, timings } = await answered(path, { threads: 2 });
      assert(activity.isSparse);
      const { layers } = activity;
      assertEquals(layers.map(({ neurons }) => neurons), Array(LAYERS).fill(TOKENS * WIDTH));
      for (const { skipped } of layers) assertGreater(skipped, 0);
      // Timings begin behind the prompt, of which the last step may have left some out, too.
      assertGreater(sum(layers, "skipped") + 1, timings.skippedNeurons!);
    },
  ));

Deno.test("LoadedModel.neurons tells for each layer what came from the cache and the disk", () =>
  withPacked({ architecture: "bamboo", type: "Q4_0", blockCount: LAYERS }, async (_, packed) => {
    const streaming = { ...FEW_SLOTS, hotShare: 0.5 };
    const { activity, timings } = await answered(packed, { threads: 2, ioWorkers: 2, streaming });
    assert(activity.isStreamed);
    const { layers } = activity;
    const { hits, misses, diskReads, diskBytes } = timings.streamed!;
    assertEquals(sum(layers, "cacheHits"), hits);
    assertEquals(sum(layers, "cacheMisses"), misses);
    // The prompt brings whole units.
    assertGreater(sum(layers, "diskReads"), diskReads);
    assertGreater(sum(layers, "diskBytes"), diskBytes);
    for (const { cacheMisses, diskBytes, hot, neurons, skipped } of layers) {
      assert(cacheMisses > 0 && diskBytes > 0 && hot + skipped <= neurons);
    }
    assertGreater(sum(layers, "hot"), 0);
  }));

gpuTest(
  "LoadedModel.neurons calls hot what a GPU computes, also of steps that bring the rest",
  () =>
    withTinyFile({ blockCount: LAYERS, feedForwardLength: WIDTH }, async (path) => {
      const all = TOKENS * WIDTH;
      const hotOf = async (options: LoadOptions) => {
        const { activity: { layers } } = await answered(path, { gpu: "force", ...options });
        assertEquals(layers.map(({ neurons }) => neurons), Array(LAYERS).fill(all));
        return layers.map(({ hot }) => hot);
      };
      assertEquals(await hotOf({ threads: 1 }), Array(LAYERS).fill(all));
      const some = await hotOf({ ...besideThreads(0), threads: 2, hotShare: [0.5] });
      for (const hot of some) assert(hot > 0.3 * all && hot < 0.7 * all, String(hot));
      // The prompt is one long step; what is answered, threads compute.
      const long = await hotOf({ threads: 1, gpuLayers: 0, gpuStreamFrom: 8 });
      assertEquals(long, Array(LAYERS).fill(IDS.length * WIDTH));
    }),
);

function sum(layers: readonly LayerActivity[], field: keyof LayerActivity): number {
  return layers.reduce((total, layer) => total + layer[field], 0);
}

async function answered(path: string, options: LoadOptions) {
  const model = await loadModel(path, options);
  try {
    const request = { ids: IDS, maxTokens: 6, sampling: { temperature: 0 }, ignoreEnd: true };
    const { timings } = await model.generate(request).result;
    return { timings, activity: model.neurons };
  } finally {
    await model.close();
  }
}
