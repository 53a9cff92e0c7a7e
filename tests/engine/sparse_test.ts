/**
 * Neurons that do not fire are not computed, and nobody can tell by the answer: the engine beside
 * itself with every neuron computed, on small models made from a seed and on golden ones.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess } from "@std/assert";
import { text } from "../../src/gguf/mod.ts";
import type { LoadedModel, LoadOptions } from "../../src/llm/mod.ts";
import { nmse } from "../support/compare.ts";
import { deepOnly, deepTest } from "../support/deep.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { randomIds } from "../support/rng.ts";
import { sharedPath, sharedTest } from "../support/shared.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

const FAMILIES = ["relu-llama", "bamboo", "arcee", "nemotron", "bitnet-b1.58"] as const;
const FLOATS = ["F32", "F16"] as const;
const QUANTS = ["Q8_0", "Q4_0"] as const;
const IDS = randomIds(21, { end: 256, seed: 8 });
/** A sum in another order may round an activation to another int8. */
const QUANT_NMSE = 1e-5;

interface Answers {
  /** Of every position, token by token. */
  readonly single: Float32Array;
  /** Of every position, several tokens at a time. */
  readonly chunked: Float32Array;
  readonly greedy: readonly number[];
  readonly skippedNeurons: number;
  readonly skippedBytes: number;
}

const OTHER_TYPE = "in the gate each family is by one type of floats and one of integers";

for (const [index, architecture] of FAMILIES.entries()) {
  const deep = (place: number) => place === index % 2 ? undefined : OTHER_TYPE;
  for (const [place, type] of FLOATS.entries()) {
    const same = `${architecture} in ${type} gives the same bits with and without --dense`;
    deepTest(same, deep(place), () =>
      eachThreadCount({ architecture, type }, (sparse, dense) => {
        assertEquals(sparse.single, dense.single);
        assertEquals(sparse.chunked, dense.chunked);
        assertEquals(sparse.greedy, dense.greedy);
        assert(sparse.skippedNeurons > 0 && sparse.skippedBytes > 0);
      }));
  }

  for (const [place, type] of QUANTS.entries()) {
    deepTest(
      `${architecture} in ${type} answers alike with and without --dense`,
      deep(place),
      () =>
        eachThreadCount({ architecture, type }, (sparse, dense) => {
          assertLess(nmse(sparse.single, dense.single), QUANT_NMSE);
          assertEquals(sparse.chunked, dense.chunked, "chunks are dense, the same bits");
          assertEquals(sparse.greedy, dense.greedy);
          assert(sparse.skippedNeurons > 0 && sparse.skippedBytes > 0);
        }),
    );
  }
}

Deno.test("rwkv7 in Q4_0 answers alike with and without --dense", () =>
  eachThreadCount({ architecture: "rwkv7", type: "Q4_0" }, (sparse, dense) => {
    assertLess(nmse(sparse.single, dense.single), QUANT_NMSE);
    assertEquals(sparse.chunked, dense.chunked);
    assertEquals(sparse.greedy, dense.greedy);
    assert(sparse.skippedNeurons > 0 && sparse.skippedBytes > 0);
  }));

Deno.test("a gated ReLU model with biases answers alike with and without --dense", () =>
  eachThreadCount({
    architecture: "llama-biased",
    type: "Q8_0",
    metadata: [["llama.hidden_activation", text("relu")]],
  }, (sparse, dense) => {
    assertLess(nmse(sparse.single, dense.single), QUANT_NMSE);
    assertEquals(sparse.chunked, dense.chunked);
    assert(sparse.skippedNeurons > 0 && sparse.skippedBytes > 0);
  }));

const BY_COLUMNS = [
  ...["Q4_1", "E0M4", "Q5_0", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "MXFP4", "NVFP4"] as const,
];
/** With minima, within superblocks, by a table. */
const IN_GATE: readonly string[] = ["Q4_1", "Q4_K", "MXFP4"];
const BY_PARTS = "its bits by columns are in tests/pack and its kernels in tests/kernels";
for (const type of BY_COLUMNS) {
  const deep = IN_GATE.includes(type) ? undefined : BY_PARTS;
  deepTest(`bamboo in ${type} answers alike with and without --dense`, deep, () =>
    eachThreadCount({
      ...{ architecture: "bamboo", type, blockCount: 1 },
      ...{ embeddingLength: 256, feedForwardLength: 768 },
    }, (sparse, dense) => {
      assertLess(nmse(sparse.single, dense.single), QUANT_NMSE);
      assertEquals(sparse.chunked, dense.chunked, "chunks are dense, the same bits");
      assertEquals(sparse.greedy, dense.greedy);
      assert(sparse.skippedNeurons > 0 && sparse.skippedBytes > 0);
    }));
}

Deno.test("loadModel() packs down by columns in several pieces", () =>
  eachThreadCount({
    ...{ architecture: "bamboo", type: "Q4_0", blockCount: 1 },
    ...{ embeddingLength: 192, feedForwardLength: 8192 },
  }, (sparse, dense) => {
    assertLess(nmse(sparse.single, dense.single), QUANT_NMSE);
    assertEquals(sparse.chunked, dense.chunked);
    assert(sparse.skippedNeurons > 0 && sparse.skippedBytes > 0);
  }));

Deno.test("a model of silu neurons skips none", () =>
  withTinyFile(
    { architecture: "llama", type: "Q4_0" },
    (path) =>
      withModel(path, { threads: 2 }, async (model) => {
        const { skippedNeurons, skippedBytes } = await decode(model);
        assertEquals([skippedNeurons, skippedBytes], [0, 0]);
      }),
  ));

for (const name of ["relu-llama-f16", "bamboo-f16"]) {
  const folder = `golden/${name}`;
  sharedTest(folder, `${name} gives the same bits with and without --dense`, async () => {
    const path = sharedPath(`${folder}/model.gguf`);
    for (const threads of [1, ...deepOnly(2), 3]) {
      const [sparse, dense] = [
        await ask(path, { threads }),
        await ask(path, { threads, sparse: false }),
      ];
      assertEquals(sparse, {
        ...dense,
        skippedNeurons: sparse.skippedNeurons,
        skippedBytes: sparse.skippedBytes,
      });
      assert(sparse.skippedNeurons > 0 && dense.skippedNeurons === 0);
    }
  });
}

/**
 * Asks with one thread, and with two or three, by the type: each family is shared evenly and
 * unevenly. Checks that nothing is skipped with sparse: false.
 */
async function eachThreadCount(
  model: TinyModelOptions,
  compare: (sparse: Answers, dense: Answers) => void,
): Promise<void> {
  await withTinyFile({ seed: 5, ...model }, async (path) => {
    for (const threads of [1, model.type === "F32" || model.type === "Q8_0" ? 2 : 3]) {
      const sparse = await ask(path, { threads });
      const dense = await ask(path, { threads, sparse: false });
      assertEquals([dense.skippedNeurons, dense.skippedBytes], [0, 0]);
      compare(sparse, dense);
    }
  });
}

async function ask(path: string, options: LoadOptions): Promise<Answers> {
  return await withModel(path, options, async (model) => ({
    single: await allLogits(model, IDS, 1),
    chunked: await allLogits(model, IDS),
    greedy: await greedyIds(model, IDS.slice(0, 9), 16),
    ...await decode(model),
  }));
}

async function decode(model: LoadedModel) {
  const sampling = { temperature: 0 };
  const request = { ids: IDS, maxTokens: 8, sampling, ignoreEnd: true };
  const { timings } = await model.generate(request).result;
  const { skippedNeurons = NaN, skippedBytes = NaN } = timings;
  return { skippedNeurons, skippedBytes };
}
