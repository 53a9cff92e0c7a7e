/**
 * A GPU beside threads with neurons by frequency, and with more of them the more tokens a step has,
 * up to all of them where long steps bring the rest: the same answers as the threads alone.
 */
import "../support/thread_pool.ts";
import { assertEquals, assertLess, assertMatch, assertRejects } from "@std/assert";
import { openModelFile, sourceFingerprint } from "../../src/bundle/mod.ts";
import type { FiringRates, LoadOptions } from "../../src/llm/mod.ts";
import { describeModel, layerNeurons } from "../../src/model/mod.ts";
import { nmse } from "../support/compare.ts";
import { deepOnly } from "../support/deep.ts";
import { besideThreads, GPU_ALONE_TUNED, gpuTest } from "../support/gpu_model.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { randomIds, Rng } from "../support/rng.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

sizesAsData();

/**
 * A prompt of them is a step of the longest kind. Steps of 2, 4 and 8 leave one of their texts: to
 * compile shaders for another count takes longer than all the rest.
 */
const IDS = randomIds(33, { end: 512, seed: 7 });
/** Tokens of the shortest steps of each kind but the longest, and of the texts in such steps. */
const STEPS = [[1, 9], [2, 9], [8, 17]] as const;
/** The same of the shortest that LONG calls long. */
const LONG_STEP = [4, 9] as const;
const F32_NMSE = 1e-11;
const QUANT_NMSE = 5e-3;
const GROWING = [0.2, 0.4, 0.7, 1];
/** Long steps begin between two of the sizes that shares are given for. */
const LONG: LoadOptions = { gpuStreamFrom: LONG_STEP[0] };
/** By the shaders that real GPUs do fastest. */
const TUNED: LoadOptions = { profile: GPU_ALONE_TUNED.profile };

/** Rates of a seed, as if they had been counted. */
function ratesOf(path: string): FiringRates {
  const modelFile = openModelFile(path);
  const { config } = describeModel(modelFile.file);
  const rng = new Rng(23);
  const count = () => Uint32Array.from({ length: layerNeurons(config) }, () => rng.int(1000));
  return {
    counts: Array.from({ length: config.blockCount }, count),
    modelFingerprint: sourceFingerprint(modelFile),
  };
}

async function answers(path: string, options: LoadOptions) {
  return await withModel(path, options, async (model) => {
    assertEquals(model.gpu !== null, options.gpu === "force", "who computes");
    if (options.gpu === "force" && options.gpuStreamFrom) {
      assertMatch(model.runsOn, /bring it the neurons/);
    }
    const logits: Float32Array[] = [];
    for (const [tokens, count] of [...STEPS, ...options.gpuStreamFrom ? [LONG_STEP] : []]) {
      logits.push(await allLogits(model, IDS.slice(0, count), tokens));
    }
    return { logits, ids: await greedyIds(model, IDS, 16) };
  });
}

/** A GPU has the most frequent neurons beside two threads; alsoFirst: and the first beside one. */
async function compare(
  of: TinyModelOptions,
  shares: readonly (readonly number[])[],
  bound: number,
  { alsoFirst = false, ...more }: LoadOptions & { readonly alsoFirst?: boolean } = {},
) {
  await withTinyFile({ seed: 3, ...of }, async (path) => {
    const { gpuStreamFrom } = more;
    const expected = await answers(path, { threads: 1, gpu: "off", gpuStreamFrom });
    const firing = ratesOf(path);
    for (const hotShare of shares) {
      const ways = [{ threads: 2, firing }, ...alsoFirst ? [{ threads: 1 }] : []];
      for (const way of ways) {
        const found = await answers(path, { ...besideThreads(0), hotShare, ...way, ...more });
        const name = `${JSON.stringify({ ...of, ...more })} ${hotShare} of ${way.threads}`;
        found.logits.forEach((logits, kind) =>
          assertLess(nmse(logits, expected.logits[kind]), bound, `${name}: step ${kind}`)
        );
        if (bound === F32_NMSE) assertEquals(found.ids, expected.ids, name);
      }
    }
  });
}

gpuTest("a GPU has more neurons in longer steps, of silent and of other families", async () => {
  const of = { feedForwardLength: 320 };
  await compare({ architecture: "llama", ...of }, [GROWING], F32_NMSE, { alsoFirst: true });
  await compare({ architecture: "bamboo", ...of }, [[0, 0, 0.5]], F32_NMSE, { alsoFirst: true });
});

gpuTest(
  "a GPU has more neurons in longer steps where blocks are parallel or have biases",
  async () => {
    // phi3's gates and ups are one tensor.
    for (
      const architecture of ["gpt2", "phi3", ...deepOnly("stablelm-parallel")] as const
    ) {
      await compare({ architecture, feedForwardLength: 320 }, [[0, 0.4]], F32_NMSE);
    }
  },
);

gpuTest(
  "a GPU has the most frequent neurons of a down that the file keeps by neurons",
  async () => {
    const of = { architecture: "bamboo", hasDownTransposed: true, feedForwardLength: 320 } as const;
    await compare(of, [[0.3, 0.6]], F32_NMSE);
  },
);

// Which rows are in 8 bits, and in which steps, is known to the lists of commands: each type goes
// by integers in one of the tests of its blocks, and by floats in the other.
const BLOCKS = [["Q4_0", "llama", {}], ["Q4_K", "bamboo", TUNED]] as const;
for (const [type, architecture, more] of BLOCKS) {
  gpuTest(`a GPU has the most frequent blocks of a ${type} down`, async () => {
    const of = { architecture, type, embeddingLength: 256, feedForwardLength: 1280 };
    await compare(of, [[0.4, 0.6]], QUANT_NMSE, { alsoFirst: true, ...more });
  });
}

const LONG_DEEP = "of llama it has them, and more neurons of such blocks above";
for (const architecture of ["llama", "stablelm-parallel", "gpt2"] as const) {
  gpuTest(
    `a GPU of ${architecture} has all neurons in long steps, also what it grows by`,
    async () => {
      const of = { architecture, feedForwardLength: 320, blockCount: 3 };
      await compare(of, [GROWING.slice(0, 3), [0, 0, 0.5]], F32_NMSE, LONG);
      // Of the first layers it has nothing in short steps.
      await compare(of, [[0.2, 0.6]], F32_NMSE, { ...LONG, gpuLayers: 1 });
    },
    architecture === "gpt2" ? { deep: LONG_DEEP } : {},
  );
}

for (const [type, more] of [["Q4_0", TUNED], ["Q4_K", {}]] as const) {
  gpuTest(`long steps bring a GPU the rarest blocks of a ${type} down`, async () => {
    const shape = { embeddingLength: 256, feedForwardLength: 1280, blockCount: 3 };
    const of = { architecture: "bamboo", type, ...shape } as const;
    await compare(of, [[0.2, 0.4, 0.6]], QUANT_NMSE, { ...LONG, ...more });
  });
}

Deno.test("loadModel() refuses shares that do not ascend", async () => {
  await withTinyFile({ seed: 3 }, async (path) => {
    for (const hotShare of [[0.5, 0.3], [], [0, 0, 0, 0, 1], [1.1], -0.1, NaN]) {
      const load = () => withModel(path, { gpu: "off", hotShare }, async () => {});
      await assertRejects(load, RangeError, "hotShare", `${hotShare}`);
    }
  });
});

gpuTest("loadModel() refuses rates of another model", async () => {
  await withTinyFile({ seed: 3 }, async (path) => {
    const firing = { ...ratesOf(path), modelFingerprint: "0".repeat(64) };
    await assertRejects(
      () => withModel(path, { ...besideThreads(0.3), firing }, async () => {}),
      RangeError,
      "another model",
    );
  });
});
