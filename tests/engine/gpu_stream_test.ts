/**
 * Long steps bring a GPU the neurons that it has no room for, and it computes all of them, as
 * threads do; short ones and answers stay the threads'.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess, assertMatch, assertRejects } from "@std/assert";
import { loadKernelModule } from "../../wasm/mod.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { chooseGpu, describeForUse, type LoadOptions, planModel } from "../../src/llm/mod.ts";
import { nmse } from "../support/compare.ts";
import { gpuTest } from "../support/gpu_model.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { randomIds } from "../support/rng.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import type { TinyFamilyName } from "../support/tiny_families.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

sizesAsData();

/** Steps of 16 and one of 5: the last one is no long step where long ones have 8 tokens. */
const IDS = randomIds(37, { end: 512, seed: 11 });
const CHUNK = { chunkTokens: 16 };
/** Long steps, and nothing else, are the GPU's. */
const ONLY_LONG: LoadOptions = { ...CHUNK, gpu: "force", gpuLayers: 0, gpuStreamFrom: 8 };
/** F32 weights, keys and values: only the order of sums differs. */
const F32_NMSE = 1e-11;
/** Activations are not rounded to int8 on a GPU. */
const QUANT_NMSE = 5e-3;

async function answers(path: string, options: LoadOptions) {
  return await withModel(path, options, async (model) => {
    if (options.gpu === "force") assertMatch(model.runsOn, /bring it the neurons/);
    return { logits: await allLogits(model, IDS), ids: await greedyIds(model, IDS, 16) };
  });
}

async function compare(of: TinyModelOptions, ways: readonly LoadOptions[], bound: number) {
  await withTinyFile({ seed: 5, blockCount: 5, ...of }, async (path) => {
    const expected = await answers(path, { ...CHUNK, threads: 1, gpu: "off" });
    for (const way of ways) {
      const found = await answers(path, way);
      assertLess(nmse(found.logits, expected.logits), bound, JSON.stringify(way));
      if (bound === F32_NMSE) assertEquals(found.ids, expected.ids, JSON.stringify(way));
    }
  });
}

const FAMILIES: readonly TinyFamilyName[] = [
  ...["llama", "bamboo", "gemma2", "stablelm-parallel", "gpt2"] as const,
];
for (const architecture of FAMILIES) {
  gpuTest(
    `neurons of ${architecture} that long steps bring are computed as threads do`,
    async () => {
      const ways = [
        { ...ONLY_LONG, threads: 1 },
        { ...ONLY_LONG, threads: 2, gpuLayers: 1 },
        // Some neurons of all layers are there, behind heads in the same partial sum.
        { ...ONLY_LONG, threads: 1, gpuLayers: undefined, hotShare: 0.4 },
      ];
      await compare({ architecture }, ways, F32_NMSE);
    },
  );
}

for (const type of ["Q4_0", "Q4_K"] as const) {
  gpuTest(`long steps bring ${type}, and layers of other types in the same room`, async () => {
    const shape = { embeddingLength: 256, feedForwardLength: 512 };
    const typeOf = (name: string) => name.startsWith("blk.1.ffn_down") ? "Q8_0" : undefined;
    await compare({ type, typeOf, ...shape }, [{ ...ONLY_LONG, threads: 2 }], QUANT_NMSE);
  });
}

gpuTest("what does not fit a GPU's memory is brought, and no more memory is taken", async () => {
  await withTinyFile({ seed: 5, blockCount: 5 }, async (path) => {
    const file = openGguf(path);
    const model = describeForUse(file);
    const module = await loadKernelModule();
    const choose = async (options: LoadOptions) => {
      const decision = await chooseGpu({ file, model, packed: null }, options);
      const [gpu] = decision.parts;
      return { gpu, plan: planModel({ file, model, packed: null }, module, options, gpu).at(-1)! };
    };
    const base: LoadOptions = { ...CHUNK, gpu: "force", gpuStreamFrom: 8, contextLength: 64 };
    const whole = (await choose(base)).plan.gpu!;
    const all = whole.weightsBytes + whole.kvBytes;
    const options = {
      ...base,
      threads: 1,
      gpuMemoryBytes: Math.floor(0.6 * all),
      onNotice: () => {},
    };
    const { gpu, plan } = await choose(options);
    assert(!gpu.isAlone && gpu.share.layers < model.config.blockCount);
    const { weightsBytes, kvBytes, largestBroughtBytes, brought } = plan.gpu!;
    assert(brought.some((block) => block !== null));
    assertLess(weightsBytes + kvBytes + 2 * largestBroughtBytes, options.gpuMemoryBytes);
    // The device refuses every buffer beyond the budget (device_test.ts): what loads is within it.
    const expected = await answers(path, { ...CHUNK, contextLength: 64, threads: 1, gpu: "off" });
    const found = await answers(path, options);
    assertLess(nmse(found.logits, expected.logits), F32_NMSE);
    assertEquals(found.ids, expected.ids);
  });
});

gpuTest(
  "a GPU that is lost in a long step fails its request, and the next is answered",
  async () => {
    await withTinyFile({ seed: 5, blockCount: 5 }, async (path) => {
      let expected: number[] = [];
      await withModel(path, { ...CHUNK, threads: 1, gpu: "off" }, async (model) => {
        expected = await greedyIds(model, IDS, 8);
      });
      // The second step is the prompt's second piece: whoever has nothing to do would not notice.
      const options = { ...ONLY_LONG, threads: 1, gpuLossAtStep: 2 };
      await withModel(path, options, async (model) => {
        await assertRejects(() => greedyIds(model, IDS, 8), Error, "GPU");
        assertEquals(model.failure, null, "the server lives");
        assertEquals(await greedyIds(model, IDS, 8), expected);
        assert(model.gpu !== null, "the GPU is back");
      });
    });
  },
);

gpuTest("a GPU that is lost in a short step has nothing to do in it", async () => {
  await withTinyFile({ seed: 5, blockCount: 5 }, async (path) => {
    const options = { ...ONLY_LONG, threads: 1, gpuLossAtStep: 2 };
    await withModel(path, options, async (model) => {
      const ids = IDS.slice(0, 7);
      assertEquals((await greedyIds(model, ids, 4)).length, 4);
    });
  });
});
