/** A GPU whose memory is too small for what it is asked to hold: less of the model, or an error. */
import { assert, assertEquals, assertLess, assertRejects, assertStringIncludes } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { fittingLayers } from "../../src/llm/gpu_memory.ts";
import { describeForUse, type LoadOptions, type Notice } from "../../src/llm/mod.ts";
import { nmse } from "../support/compare.ts";
import { gpuTest } from "../support/gpu_model.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";

const IDS = Array.from({ length: 21 }, (_, i) => (i * 37 + 5) % 512);
const F32_NMSE = 1e-11;
const OF = { seed: 3, blockCount: 4 } as const;
const BASE: LoadOptions = { threads: 1, contextLength: 64, chunkTokens: 1 };

/** The least memory into which all is believed to fit. */
function hopefulBytes(path: string): number {
  const file = openGguf(path);
  const of = { file, model: describeForUse(file) };
  let [low, high] = [0, 2 ** 30];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const options = { ...BASE, gpuStreamFrom: 0, gpuMemoryBytes: middle };
    if (fittingLayers(of, options) === Infinity) high = middle;
    else low = middle;
  }
  return high;
}

gpuTest(
  "a model that does not fit a GPU after all is loaded again, with less of it there",
  async () => {
    await withTinyFile(OF, async (path) => {
      const ask = async (options: LoadOptions) => {
        let logits = new Float32Array();
        let ids: number[] = [];
        let runsOn = "";
        await withModel(path, { ...BASE, ...options }, async (model) => {
          logits = await allLogits(model, IDS) as Float32Array<ArrayBuffer>;
          ids = await greedyIds(model, IDS, 8);
          runsOn = model.runsOn;
        });
        return { logits, ids, runsOn };
      };
      const expected = await ask({ gpu: "off" });
      const notices: Notice[] = [];
      const found = await ask({
        ...{ gpu: "force", gpuStreamFrom: 0, gpuMemoryBytes: hopefulBytes(path) },
        onNotice: (notice) => notices.push(notice),
      });
      // Tables of the step, logits and what comes back were not in the estimate.
      assertEquals(notices.map(({ kind }) => kind), ["warning"]);
      assertStringIncludes(notices[0].text, "with less of it on the GPU");
      assertStringIncludes(notices[0].text, "that it may take");
      assertStringIncludes(found.runsOn, "of the last 2 layers");
      assertLess(nmse(found.logits, expected.logits), F32_NMSE);
      assertEquals(found.ids, expected.ids);
    });
  },
);

gpuTest("loadModel() says what to do where a GPU may not even take a layer", async () => {
  await withTinyFile(OF, async (path) => {
    const load = (options: LoadOptions) =>
      withModel(path, { ...BASE, gpu: "force", gpuMemoryBytes: 1000, ...options }, async () => {});
    const none = await assertRejects(() => load({ gpuStreamFrom: 0 }), UnsupportedModelError);
    assertStringIncludes(none.message, "no room for a layer: leave out --gpu force");
    // Nothing is the GPU's but long steps: what these need does not fit either.
    const error = await assertRejects(() => load({ gpuStreamFrom: 8, chunkTokens: 16 }), Error);
    assertStringIncludes(error.message, "that it may take: allow more");
    assert(error.cause instanceof Error && error.cause.name === "GpuOutOfMemoryError");
  });
});
