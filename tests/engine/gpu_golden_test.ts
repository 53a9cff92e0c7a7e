/** GPU ranks against other engines: golden logits, and the ids that threads choose. */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess } from "@std/assert";
import { fileURLToPath } from "node:url";
import type { LoadOptions } from "../../src/llm/mod.ts";
import { nmse } from "../support/compare.ts";
import { IS_DEEP } from "../support/deep.ts";
import { besideThreads, GPU_ALONE, GPU_ALONE_TUNED, gpuTest } from "../support/gpu_model.ts";
import { GPU_GOLDEN_MODELS } from "../support/gpu_golden_models.ts";
import { allLogits, greedyIds, withModel } from "../support/loaded_model.ts";
import { sharedPath } from "../support/shared.ts";
import { readFloats, readJson } from "../support/shared_data.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";

// As the product compiles them, with all constants, shaders are in tests/gpu/kernels_test.ts.
sizesAsData({ afterFirst: IS_DEEP });

const BESIDE_WAY = "with 0.3 of the neurons";
const WAYS: Readonly<Record<string, LoadOptions>> = {
  "alone": GPU_ALONE,
  [BESIDE_WAY]: besideThreads(0.3),
};

const DEEP: Readonly<Record<string, string>> = {
  "llama-q4_0": "llama-q4_k_m has its shaders, and heads of two types",
  "bamboo-pwri-q4_0": "bamboo-f16 is as silent, and gpu_hot_test.ts has downs that lie by neurons",
};

/** Of a model of each family; in the gate of the one whose neurons are silent. */
const EDGES: Readonly<Record<string, LoadOptions>> = {
  "with no neurons": besideThreads(0),
  "with all neurons": besideThreads(1),
};

/** By other shaders: what is quantised is multiplied by integers on real GPUs. */
const TUNED_WAY = { "alone, as tuned for a real one": GPU_ALONE_TUNED };

for (const name of GPU_GOLDEN_MODELS) {
  const folder = `golden/${name}`;
  const deep = DEEP[name];
  gpuTest(`logits of ${name} on a GPU are within its tolerance`, async () => {
    const tokens: Record<string, number[]> = readJson(`${folder}/tokens.json`);
    const { tolerance }: { tolerance: Record<string, { vs_exact_nmse: number }> } = readJson(
      `${folder}/meta.json`,
    );
    // Q4_K alone by the shaders of real GPUs, beside a thread by the others.
    const isBoth = IS_DEEP || name !== "llama-q4_k_m";
    const ways = {
      ...(isBoth ? WAYS : { [BESIDE_WAY]: WAYS[BESIDE_WAY] }),
      ...(name === "bamboo-f16" || IS_DEEP && name.endsWith("f16") ? EDGES : {}),
      ...(/q4|llama-f16/.test(name) ? TUNED_WAY : {}),
    };
    for (const [way, options] of Object.entries(ways)) {
      await withModel(sharedPath(`${folder}/model.gguf`), options, async (model) => {
        assert(model.gpu !== null);
        for (const [sequence, ids] of Object.entries(tokens)) {
          const exact = readFloats(`${folder}/exact_${sequence}.f32`);
          const { vs_exact_nmse: most } = tolerance[sequence];
          assertLess(nmse(await allLogits(model, ids), exact), most, `${sequence}, ${way}`);
          // Steps of one token have dispatches of their own.
          if (options.besideGpu || sequence !== Object.keys(tokens)[0]) continue;
          const error = nmse(await allLogits(model, ids, 1), exact);
          assertLess(error, most, `${sequence}, ${way}, one by one`);
        }
      });
    }
  }, { shared: folder, deep });
}

const BUILT_IN = fileURLToPath(new URL("../../builtin/model.gguf", import.meta.url));
/** Three blocks of the cache; in the gate two. */
const LONG = IS_DEEP ? 70 : 40;
const BESIDE = besideThreads(0.3);

for (
  const { name, path, ways, shared } of [
    { name: "the built-in model", path: BUILT_IN, ways: [GPU_ALONE_TUNED, BESIDE] },
    {
      name: "babyllama105",
      path: sharedPath("models/babyllama105-f32.gguf"),
      ways: [GPU_ALONE, BESIDE],
      shared: "models/babyllama105-f32.gguf",
    },
  ]
) {
  gpuTest(`${name} says on a GPU what it says on threads, ${LONG} tokens long`, async () => {
    const answer = async (options: LoadOptions) => {
      let ids: number[] = [];
      await withModel(path, options, async (model) => {
        ids = await greedyIds(model, model.encodePrompt("Once upon a time"), LONG);
      });
      return ids;
    };
    const expected = await answer({ gpu: "off" });
    for (const options of ways) {
      assertEquals(await answer(options), expected);
    }
  }, { shared, ...shared && { deep: "the built-in model answers as long" } });
}
