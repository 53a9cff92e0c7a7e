/** Gemma 3n: several residual streams, and gates that are cut off, in all ways to run a model. */
import "../support/thread_pool.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { describeForUse, planModel } from "../../src/llm/mod.ts";
import { PAGE_BYTES } from "../../src/memory/arena.ts";
import { packFile } from "../../src/pack/mod.ts";
import { besideObstacle, gpuObstacle } from "../../src/rank/gpu/obstacle.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { nmse } from "../support/compare.ts";
import { allLogits, withModel, withTinyFile } from "../support/loaded_model.ts";
import { someRequests } from "../support/some_requests.ts";
import { TINY_FAMILIES } from "../support/tiny_families.ts";
import { TINY_PROMPT } from "../support/tiny_model.ts";
import { exactLogits } from "../support/known_logits.ts";

const { layered } = TINY_FAMILIES["gemma3n"];
const IDS = TINY_PROMPT.slice(0, 25);
/** Of three layers of six one gate of twenty counts. */
const cutoffs = layered.altUp.cutoffs.map((cutoff) => cutoff === -Infinity ? cutoff : 1.645);
const WIDE = {
  architecture: "gemma3n",
  feedForwardLength: 256,
  seed: 4,
  changes: { layered: { ...layered, altUp: { ...layered.altUp, cutoffs } } },
} as const;

Deno.test("neurons whose gates are cut off are left out, with the bits of each token alone", () =>
  withTinyFile({ ...WIDE, type: "Q4_0" }, async (path) => {
    const [single, eight, long] = await logitsBy(path, [1, 8, 16], {});
    assertEquals(eight, single);
    const [dense] = await logitsBy(path, [1], { sparse: false });
    // All of a long step's neurons are computed, also those of silent ones.
    assertLess(nmse(single, dense), 1e-4);
    assertLess(nmse(single, long), 1e-4);
  }));

async function logitsBy(path: string, steps: readonly number[], options: { sparse?: false }) {
  return await withModel(path, { threads: 2, contextLength: 64, ...options }, async (model) => {
    const all: Float32Array[] = [];
    for (const tokens of steps) all.push(await allLogits(model, IDS, tokens));
    return all;
  });
}

Deno.test("generate() of gemma3n answers at once as alone, and says what was left out", () =>
  withTinyFile({ ...WIDE, type: "Q8_0" }, async (path) => {
    const requests = someRequests(3, 12);
    await withModel(path, { threads: 2, parallel: 3, chunkTokens: 32 }, async (model) => {
      const alone: (readonly number[])[] = [];
      for (const request of requests) {
        const { ids, timings } = await model.generate(request).result;
        alone.push(ids);
        const share = (timings.skippedNeurons ?? 0) / ((ids.length - 1) * 3 * 256);
        assert(share > 0.92 && share < 0.98, `${share} of neurons`);
      }
      const together = await Promise.all(requests.map((each) => model.generate(each).result));
      assertEquals(together.map(({ ids }) => ids), alone);
      assertGreater(Math.max(...together.map(({ timings }) => timings.cachedTokens ?? 0)), 31);
    });
  }));

Deno.test("the engine carries all streams of gemma3n from arena to arena", () => {
  const changes = { layered: { ...layered, sharing: 0 } };
  return withTinyFile({ architecture: "gemma3n", seed: 3, changes }, async (path) => {
    const file = openGguf(path);
    const module = await loadKernelModule();
    const options = { threads: 2, contextLength: 40, chunkTokens: 16 };
    const planned = (arenaBytesMax?: number) => {
      const model = describeForUse(file, options);
      return planModel({ file, model }, module, { ...options, arenaBytesMax })[0].arenas;
    };
    const arenaBytesMax = 0.7 * PAGE_BYTES * planned()[0].pageCount;
    assertGreater(planned(arenaBytesMax).length, 1);
    await withModel(path, { ...options, arenaBytesMax }, async (model) => {
      const exact = exactLogits(path, IDS);
      assertLess(nmse(await allLogits(model, IDS), exact), 8e-12);
    });
  });
});

Deno.test("the large matrices of both ends are quantised as others are", () => {
  const typeOf = (name: string) => /altup_(un|proj)/.test(name) ? "Q8_0" : undefined;
  return withTinyFile(
    { architecture: "gemma3n", seed: 3, typeOf },
    (path) =>
      withModel(path, { threads: 2 }, async (model) => {
        const exact = exactLogits(path, IDS);
        assertLess(nmse(await allLogits(model, IDS), exact), 1e-3);
      }),
  );
});

Deno.test("what mixes streams computes in floats whatever its type", () => {
  const typeOf = (name: string) => /altup_router\.|laurel_l\./.test(name) ? "Q8_0" : undefined;
  return withTinyFile(
    { architecture: "gemma3n", seed: 3, typeOf },
    (path) =>
      withModel(path, { threads: 2 }, async (model) => {
        const exact = exactLogits(path, IDS);
        assertLess(nmse(await allLogits(model, IDS), exact), 8e-12);
      }),
  );
});

Deno.test("a GPU says what of several residual streams is not for it", () =>
  withTinyFile({ architecture: "gemma3n" }, (path) => {
    const file = openGguf(path);
    const model = describeForUse(file);
    // What goes around attention: real models have 64 there.
    assertEquals(gpuObstacle({ model, file }, {}), "a width of 10 is no multiple of 4");
    assertStringIncludes(besideObstacle(model) ?? "", "residual streams are not shared out");
    return Promise.resolve();
  }));

Deno.test("gemma3n is not packed: its gates depend on one another", () =>
  withTinyFile({ architecture: "gemma3n", type: "Q8_0" }, async (path) => {
    const out = await Deno.makeTempFile();
    try {
      await assertRejects(
        () => packFile({ input: path, out, stats: null, alignBytes: 4096 }),
        UnsupportedModelError,
        "where its gates are cut off depends on all gates of a layer",
      );
    } finally {
      await Deno.remove(out);
    }
  }));
