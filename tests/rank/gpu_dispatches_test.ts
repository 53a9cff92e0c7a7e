/** How many dispatches a decoded token takes: each waits for the one before. */
import { assertEquals } from "@std/assert";
import { type Gpu, tuneKernels } from "../../gpu/mod.ts";
import { Program } from "../../gpu/program.ts";
import type { StepValues } from "../../gpu/step_input.ts";
import { DEFAULT_ROW_LANES } from "../../gpu/row_lanes.ts";
import { PLAIN_VARIANTS } from "../../gpu/variants.ts";
import { gpuTest } from "../support/gpu.ts";
import { withoutDispatches } from "../support/without_dispatches.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { openLoneRank } from "../support/lone_gpu_rank.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import { TINY_FAMILIES, type TinyFamilyName } from "../support/tiny_families.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";
import { tunedAsReal } from "../support/tuning.ts";

sizesAsData();

/** Of a token: the first norm, and the output, half of whose norm the last layer leaves. */
const BESIDE_LAYERS = 2;

/** Dispatches of a decoded token. */
async function countOf(gpu: Gpu, options: TinyModelOptions, isAlone = true) {
  const { run } = Program.prototype;
  let count = 0;
  Program.prototype.run = function (this: Program, step: StepValues, ...rest) {
    count += this.dispatchCount(step);
    return run.call(this, step, ...rest);
  };
  let layerCount = 0;
  try {
    // Programs know how many they are; what they compute is looked at elsewhere.
    await withoutDispatches(() =>
      withTinyFile({ seed: 3, ...options }, async (path) => {
        const { layers, decode } = await openLoneRank(path, gpu, isAlone);
        layerCount = layers;
        for (const position of [0, 1]) {
          count = 0;
          decode(position);
        }
      })
    );
  } finally {
    Program.prototype.run = run;
  }
  return { count, layers: layerCount };
}

/**
 * A layer's dispatches: heads, attention, what it leaves; neurons, what they leave. With a cache of
 * floats, as tiny models' heads want it; one of f16 is split, and combined by one more.
 */
const FEW: readonly TinyFamilyName[] = [
  ...["llama", "llama-biased", "relu-llama", "bamboo", "qwen2", "gemma", "phi3"] as const,
  ...["smollm3", "chatglm", "arcee"] as const,
];
/**
 * Others have norms of another kind, or behind blocks, and make all of them apart: so many a layer,
 * and beside layers (gemma2 caps logits).
 */
const MORE: Partial<Record<TinyFamilyName, readonly [number, number]>> = {
  ...{ qwen3: [6, 2], gpt2: [7, 2], starcoder2: [7, 2], "stablelm-parallel": [8, 2] },
  ...{ gemma2: [7, 4], gemma3: [8, 3], olmo2: [10, 2], gemma4: [12, 8], "gemma4-moe": [18, 5] },
  // Router, choice, and experts' down by itself.
  ...{ "llama-moe": [8, 2], qwen3moe: [9, 2], bailingmoe: [10, 2] },
  // The key and its place in the cache, queries, what these ask latents, attention and its chunks,
  // values, what they leave; of minicpm3 the norm of what queries are made of, too.
  ...{ plm: [10, 2], minicpm3: [11, 3] },
};

gpuTest("a decoded token takes five dispatches a layer in families like Llama", async (gpu) => {
  for (const architecture of FEW) {
    const { count, layers } = await countOf(gpu, { architecture });
    assertEquals(count, 5 * layers + BESIDE_LAYERS, architecture);
  }
  // Eight and one, which is told what the eighth leaves.
  const { count } = await countOf(gpu, { architecture: "llama", blockCount: 9 });
  assertEquals(count, 5 * 9 + BESIDE_LAYERS);
});

gpuTest("a decoded token takes few dispatches a layer in other families", async (gpu) => {
  for (const [name, [each, beside]] of Object.entries(MORE)) {
    const architecture = name as TinyFamilyName;
    const { count, layers } = await countOf(gpu, { architecture });
    assertEquals(count, each * layers + beside, architecture);
  }
});

/**
 * Layers that convolve or keep states: what they make of their input, the convolution (which has
 * all that LFM2's do), scan, gate, what they leave, and two of neurons where they have some. Mamba
 * makes steps of all channels by two more.
 */
const KEPT: Partial<Record<TinyFamilyName, number>> = {
  ...{ lfm2: 5, qwen35: 7, mamba2: 5, mamba: 7 },
};

gpuTest(
  "a decoded token takes few dispatches a layer that convolves or keeps states",
  async (gpu) => {
    const blockCount = 1; // of such layers
    for (const [name, each] of Object.entries(KEPT)) {
      const architecture = name as TinyFamilyName;
      const { count } = await countOf(gpu, { architecture, blockCount });
      assertEquals(count, each + BESIDE_LAYERS, architecture);
    }
  },
);

gpuTest("a decoded token takes six dispatches a layer by products of 8 bits", async (gpu) => {
  const adapter = await navigator.gpu.requestAdapter();
  await tuneKernels(gpu, tunedAsReal(adapter!.info));
  try {
    const shape = { embeddingLength: 256, feedForwardLength: 512, headCount: 4, headCountKv: 2 };
    for (const type of ["Q4_0", "F16"] as const) {
      const { count, layers } = await countOf(gpu, { type, ...shape });
      assertEquals(count, 6 * layers + BESIDE_LAYERS, type);
      const { count: beside } = await countOf(gpu, { type, ...shape }, false);
      // Norms twice a layer: the stream comes from the ranks' arenas.
      assertEquals(beside, 8 * layers + 2, type);
    }
    gpu.endsByLast = true;
    const { count: byLast, layers: own } = await countOf(gpu, { type: "Q4_0", ...shape });
    assertEquals(byLast, 5 * own + BESIDE_LAYERS, "attention's last workgroups combine");
    gpu.endsByLast = false;
    // Who normalises what queries are made of leaves it in 8 bits; of values somebody makes them.
    const latent = { ...TINY_FAMILIES["deepseek2-dense"].latent, query: 64 };
    const dense = { architecture: "deepseek2-dense", changes: { latent } } as const;
    const { count: ofLatent, layers } = await countOf(gpu, { type: "Q8_0", ...dense });
    assertEquals(ofLatent, 12 * layers + BESIDE_LAYERS, "latents");
    // Rows that the scan gives are put in 8 bits by the gate.
    const states = { architecture: "qwen35", blockCount: 1, type: "Q4_0", ...shape } as const;
    const { count } = await countOf(gpu, states);
    assertEquals(count, 7 + BESIDE_LAYERS, "states");
  } finally {
    gpu.endsByLast = false;
    gpu.variants = PLAIN_VARIANTS;
    gpu.rowLanes = DEFAULT_ROW_LANES;
  }
});
