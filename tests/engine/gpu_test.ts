/**
 * Engines with a GPU against those without, on small models made from a seed: alone, and beside
 * threads with none, some or all of the neurons. Families that a GPU has all of are
 * tests/rank/gpu_families_test.ts.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import type { LoadOptions, Notice } from "../../src/llm/mod.ts";
import { answersHere } from "../support/answers_here.ts";
import { nmse } from "../support/compare.ts";
import { IS_DEEP } from "../support/deep.ts";
import {
  GPU_BESIDE,
  GPU_EXPERTS_ALONE,
  GPU_EXPERTS_IN_GATE,
  GPU_MIXTURES,
  GPU_REFUSED,
  GPU_UNSHARED,
  gpuForm,
} from "../support/gpu_families.ts";
import { besideThreads, GPU_ALONE, GPU_ALONE_TUNED, gpuTest } from "../support/gpu_model.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { randomIds } from "../support/rng.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import type { TinyFamilyName } from "../support/tiny_families.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

sizesAsData();

/** Longer than the windows, and 2 more than the 16 rows that `logits` computes at once, twice. */
const IDS = randomIds(34, { end: 512, seed: 7 });
/** F32 weights, keys and values: only the order of sums differs. */
const F32_NMSE = 1e-11;
/** Activations are not rounded to int8 on a GPU. */
const QUANT_NMSE = 5e-3;

/** Ids of an answer: beside threads each takes a step as the one before it. */
function idCount({ hotShare }: LoadOptions): number {
  return IS_DEEP || hotShare === undefined ? 16 : 8;
}

/** Logits and greedy ids of a way to run the model at `path` with a GPU. */
async function answers(path: string, options: LoadOptions) {
  let logits: Float32Array = new Float32Array();
  let ids: number[] = [];
  await withModel(path, options, async (model) => {
    assert(model.gpu !== null, "who computes");
    logits = await allLogits(model, IDS);
    ids = await greedyIds(model, IDS.slice(0, 9), idCount(options));
  });
  return { logits, ids };
}

async function compare(
  of: TinyModelOptions,
  ways: readonly LoadOptions[],
  bound: number,
): Promise<void> {
  await withTinyFile({ seed: 3, ...of }, async (path) => {
    const expected = await answersHere(path, IDS);
    for (const way of ways) {
      const found = await answers(path, way);
      assertLess(nmse(found.logits, expected.logits), bound, JSON.stringify(way));
      if (bound !== F32_NMSE) continue;
      assertEquals(found.ids, expected.greedy.slice(0, idCount(way)), JSON.stringify(way));
    }
  });
}

gpuTest("a GPU that has the whole model makes vectors of texts as threads do", async () => {
  // A text of several steps; a norm that takes the mean away, and layers that convolve.
  for (const architecture of ["qwen3", "starcoder2", "lfm2"] as const) {
    await withTinyFile({ architecture, seed: 3 }, async (path) => {
      const vectors = async (options: LoadOptions) => {
        let made: Float32Array[] = [];
        await withModel(path, { chunkTokens: 16, ...options }, async (model) => {
          made = await model.embed([IDS, IDS.slice(0, 1)]);
          await greedyIds(model, IDS.slice(0, 9), 4);
          made.push(...await model.embed([IDS.slice(3)]));
        });
        return made;
      };
      const expected = await vectors({ threads: 1, gpu: "off" });
      const found = await vectors(GPU_ALONE);
      found.forEach((each, i) => assertLess(nmse(each, expected[i]), F32_NMSE, `text ${i}`));
    });
  }
});

for (const [architecture, text] of Object.entries(GPU_REFUSED) as [TinyFamilyName, string][]) {
  gpuTest(`a GPU refuses ${architecture}, and says why`, async () => {
    await withTinyFile({ architecture, seed: 3 }, async (path) => {
      for (const way of [GPU_ALONE, besideThreads(0.3)]) {
        await assertRejects(() => withModel(path, way, () => Promise.resolve()), Error, text);
      }
    });
  });
}

for (const [architecture, text] of Object.entries(GPU_UNSHARED) as [TinyFamilyName, string][]) {
  gpuTest(`a GPU has all of ${architecture} or nothing, and says why`, async () => {
    await withTinyFile({ architecture, seed: 3 }, async (path) => {
      const way = besideThreads(0.3);
      await assertRejects(() => withModel(path, way, () => Promise.resolve()), Error, text);
    });
  });
}

gpuTest(
  "a GPU beside a thread scales the stream at a layer's end, and normalises values",
  async () => {
    const layered = { windowed: [true, false], windowedDim: 16, valuesAreKeys: true };
    const of = { architecture: "gemma4", changes: { blockCount: 2, layered } } as const;
    await compare(of, [besideThreads(0.3), { ...besideThreads(1), gpuLayers: 1 }], F32_NMSE);
  },
);

gpuTest("a bias of down is added where a GPU has all neurons beside a thread", async () => {
  await compare({ architecture: "gpt2" }, [besideThreads(1)], F32_NMSE);
});

gpuTest("neurons that are brought to a GPU for a prompt have their layer's curve", async () => {
  const way = { ...besideThreads(1), gpuLayers: 1, gpuStreamFrom: 4 };
  await compare({ architecture: "apertus" }, [way], F32_NMSE);
});

for (const architecture of GPU_BESIDE) {
  gpuTest(`a GPU beside a thread computes ${architecture} as threads do`, async () => {
    await compare({ architecture }, [besideThreads(0.3)], F32_NMSE);
  });
}

for (const architecture of GPU_MIXTURES) {
  gpuTest(
    `a GPU beside a thread, and one of them with the experts, computes ${architecture}`,
    async () => {
      const isGpus = GPU_EXPERTS_ALONE.includes(architecture);
      const isOne = isGpus || !IS_DEEP;
      const shares = isOne ? [GPU_EXPERTS_IN_GATE.includes(architecture) ? 1 : 0] : [0, 1];
      const ways = shares.map((share) => besideThreads(share));
      await compare(gpuForm(architecture), ways, F32_NMSE);
    },
  );
}

gpuTest("a GPU has none, some or all of the neurons beside one or two threads", async () => {
  // Each share beside each number of threads; what two threads share, they share in both families.
  const llama = [besideThreads(0, 2), besideThreads(0.3), besideThreads(1, 2)];
  await compare({ architecture: "llama" }, llama, F32_NMSE);
  const bamboo = [besideThreads(0), besideThreads(0.3, 2), besideThreads(1)];
  await compare({ architecture: "bamboo" }, bamboo, F32_NMSE);
});

gpuTest("a GPU has the last layers of a mixture only, their experts too", async () => {
  const way: LoadOptions = { gpu: "force", gpuLayers: 1, threads: 2 };
  for (const architecture of ["qwen2moe", "granitemoe", "smallthinker"] as const) {
    await compare({ architecture }, [way], F32_NMSE);
  }
});

gpuTest("a GPU has the last layers only, and threads the others", async () => {
  const ways = [1, 2].flatMap((gpuLayers): LoadOptions[] => {
    const way: LoadOptions = { gpu: "force", gpuLayers, threads: 2 };
    return [way, { ...way, hotShare: 0.5 }];
  });
  await compare({ architecture: "gemma3" }, ways, F32_NMSE);
});

gpuTest("a GPU has the last layers only, and threads sum up within others' states", async () => {
  // Two threads share a group of heads, or make steps of all channels; the GPU joins, too.
  const ways = [1, 2].map((gpuLayers): LoadOptions => ({ gpu: "force", gpuLayers, threads: 2 }));
  for (const architecture of ["granitehybrid", "jamba", "lfm2"] as const) {
    await compare({ architecture }, ways, F32_NMSE);
  }
});

gpuTest("a GPU computes states of Q4_0, with what is small in F32 and Q8_0", async () => {
  // As files have it: what a row of input is made of has three types, and odd lengths.
  const typeOf = (name: string) =>
    name.includes("ssm_beta") ? "F32" : name.includes("ssm_alpha") ? "Q8_0" : undefined;
  const of = { architecture: "qwen35", blockCount: 2, type: "Q4_0", typeOf } as const;
  await compare(of, [GPU_ALONE_TUNED], QUANT_NMSE);
});

gpuTest("a GPU computes experts of Q4_K and Q8_0 nearly as a thread does", async () => {
  const shape = { embeddingLength: 256, feedForwardLength: 256 } as const;
  const changes = { experts: { count: 4, used: 2, length: 256 } };
  for (const type of ["Q4_K", "Q8_0"] as const) {
    await compare({ type, ...shape, architecture: "llama-moe", changes }, [GPU_ALONE], QUANT_NMSE);
  }
});

/** Both ways with two types; another type is shaders of its own, and one of the ways has them. */
const WAYS_OF_TYPES = {
  ...{ "Q4_0": [GPU_ALONE, besideThreads(0.5)], "Q4_K": [GPU_ALONE, besideThreads(0.5)] },
  ...{ "E0M4": [besideThreads(0.5)], "MXFP4": [GPU_ALONE] },
  ...{ "NVFP4": [GPU_ALONE] },
  ...{ "IQ4_XS": [besideThreads(0.5)], "BF16": [GPU_ALONE] },
} as const;

const OTHER_TYPES = "tests/gpu multiplies by all types, and three are behind an engine here";

for (const [type, ways] of Object.entries(WAYS_OF_TYPES)) {
  gpuTest(`a GPU computes ${type} nearly as a thread does`, async () => {
    const shape = { embeddingLength: 256, feedForwardLength: 512 };
    await compare({ type: type as keyof typeof WAYS_OF_TYPES, ...shape }, ways, QUANT_NMSE);
  }, ["E0M4", "MXFP4", "IQ4_XS", "BF16"].includes(type) ? { deep: OTHER_TYPES } : {});
}

gpuTest("a GPU computes latents of Q8_0 nearly as a thread does", async () => {
  // In files of both forms: of old ones, what makes keys of latents becomes floats.
  for (const architecture of ["deepseek2-old", "deepseek2-dense"] as const) {
    await compare({ architecture, type: "Q8_0" }, [GPU_ALONE], QUANT_NMSE);
  }
}, { deep: "gpu_families_test.ts has latents, and tests/gpu products of Q8_0" });

gpuTest(
  "what a GPU has beside a table or experts in types that are not for GPUs is computed there",
  async () => {
    const shape = { embeddingLength: 256, feedForwardLength: 256, blockCount: 1 } as const;
    const table = (name: string) => name === "token_embd.weight" ? "IQ2_XS" : undefined;
    await compare({ ...shape, typeOf: table }, [GPU_ALONE], F32_NMSE);
    const experts = (name: string) =>
      name.includes("_exps") ? "IQ3_S" : name.includes("ffn_gate_inp") ? "Q2_0" : undefined;
    const mixture: TinyModelOptions = {
      ...{ ...shape, architecture: "llama-moe", typeOf: experts },
      changes: { experts: { count: 4, used: 2, length: 256 } },
    };
    await compare(mixture, [besideThreads(1)], QUANT_NMSE);
  },
);

gpuTest("what a GPU remembers of a prompt is used again, as far as it is the same", async () => {
  for (const architecture of ["llama", "minicpm3"] as const) await checkRemembered(architecture);
});

async function checkRemembered(architecture: TinyFamilyName): Promise<void> {
  await withTinyFile({ seed: 3, architecture }, async (path) => {
    const prompts = [IDS, IDS.slice(0, 30), [...IDS.slice(0, 20), 5, 6, 7], IDS];
    const run = async (options: LoadOptions) => {
      const found: number[][] = [];
      await withModel(path, { ...options, chunkTokens: 8 }, async (model) => {
        for (const prompt of prompts) found.push(await greedyIds(model, prompt, 8));
      });
      return found;
    };
    const expected = await run({ threads: 1, gpu: "off" });
    for (const way of [GPU_ALONE, besideThreads(0.3)]) assertEquals(await run(way), expected);
  });
}

for (const [name, way] of [["alone", GPU_ALONE], ["beside threads", besideThreads(0.3)]] as const) {
  gpuTest(
    `a GPU ${name} that is lost fails its request, and the next one is answered`,
    async () => {
      await withTinyFile({ seed: 3 }, async (path) => {
        let expected: number[] = [];
        await withModel(path, { threads: 1, gpu: "off" }, async (model) => {
          expected = await greedyIds(model, IDS, 8);
        });
        const notices: Notice[] = [];
        const options: LoadOptions = {
          ...{ ...way, gpuLossAtStep: 5 },
          onNotice: (notice) => notices.push(notice),
        };
        await withModel(path, options, async (model) => {
          await assertRejects(() => greedyIds(model, IDS, 8), Error, "GPU");
          assertEquals(model.failure, null, "the server lives");
          assertEquals(await greedyIds(model, IDS, 8), expected);
          assert(model.gpu !== null, "the GPU is back");
        });
      });
    },
  );
}

gpuTest("loadModel() refuses a GPU for what only threads can do", async () => {
  await withTinyFile({}, async (path) => {
    await assertRejects(
      () => withModel(path, { gpu: "force", predictor: "on" }, async () => {}),
      Error,
      "Cannot use the GPU: predictors",
    );
  });
});
