/**
 * Steps of a few tokens in which only neurons that fire are computed, and experts of which only
 * such neurons are: the same answers as token by token, on models that are sparse by construction.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess } from "@std/assert";
import type { LoadOptions } from "../../src/llm/mod.ts";
import type { ModelShape, SynthQuant } from "../../src/synth/mod.ts";
import { synthesizeShape } from "../../src/synth/synthesize.ts";
import { nmse } from "../support/compare.ts";
import { deepTest } from "../support/deep.ts";
import { allLogits, withModel } from "../support/loaded_model.ts";
import { randomIds } from "../support/rng.ts";

const SHAPE: ModelShape = {
  architecture: "llama",
  blockCount: 2,
  embeddingLength: 256,
  feedForwardLength: 1024,
  headCount: 4,
  headCountKv: 2,
  vocabSize: 400,
  contextLength: 512,
  rmsEpsilon: 1e-5,
  ropeBase: 10000,
  tied: false,
};
const EXPERTS = { feedForwardLength: 512, experts: { count: 4, usedCount: 2 } };
const KINDS: Record<string, Partial<ModelShape>> = {
  "a ReLU llama": {},
  "bamboo": { architecture: "bamboo" },
  "a dReLU mixture": { activation: "drelu", ...EXPERTS },
  "smallthinker": { architecture: "smallthinker", vocabSize: 640, ...EXPERTS },
};
const QUANTS = ["F16", "Q4_0", "Q4_K"] as const;
const IDS = randomIds(25, { from: 3, end: 393, seed: 4 });
/** One, some, and more than are computed neuron by neuron. */
const STEP_TOKENS = [1, 2, 3, 8, 16];
/** Activations are int8, and sums of several tokens in another order where all are computed. */
const QUANT_NMSE = 1e-4;

/** Types of each kind that are in the gate: each of them is, by one thread and by two. */
const IN_GATE = [["F16"], ["Q4_0", "Q4_K"], ["Q4_0", "Q4_K"], ["F16"]];
const PAIRED = "this kind, and this type by as many threads, are in the gate in other pairs";

for (const [row, [kind, shape]] of Object.entries(KINDS).entries()) {
  for (const [column, quant] of QUANTS.entries()) {
    // Each kind and each type by one thread and by two.
    const threads = 1 + (row + column) % 2;
    const does = "answers some tokens at a time with the bits of each alone";
    const deep = IN_GATE[row].includes(quant) ? undefined : PAIRED;
    deepTest(
      `${kind} in ${quant} ${does}`,
      deep,
      () =>
        withSparseFile(shape, quant, async (path) => {
          const [single, two, three, eight, long] = await logits(path, { threads }, STEP_TOKENS);
          [two, three, eight].forEach((few, i) =>
            assertEquals(few, single, `${STEP_TOKENS[1 + i]} tokens, ${threads} threads`)
          );
          const [dense] = await logits(path, { threads, sparse: false }, [1]);
          assertLess(nmse(single, dense), QUANT_NMSE);
          assertLess(nmse(single, long), QUANT_NMSE);
        }),
    );
  }
}

Deno.test("a mixture of ReLU experts skips neurons of those it uses", () =>
  withSparseFile(KINDS["smallthinker"], "Q4_0", async (path) => {
    const skipped = async (options: LoadOptions) => {
      let neurons = 0;
      await withModel(path, { threads: 2, ...options }, async (model) => {
        const request = { ids: IDS, maxTokens: 9, sampling: { temperature: 0 }, ignoreEnd: true };
        const { timings } = await model.generate(request).result;
        assertEquals((timings.skippedBytes ?? 0) > 0, (timings.skippedNeurons ?? 0) > 0);
        neurons = timings.skippedNeurons ?? 0;
      });
      return neurons;
    };
    const used = 8 * 2 * 2 * 512; // tokens, layers, experts of each, neurons
    const neurons = await skipped({});
    assert(neurons > 0.8 * used && neurons < used, `${neurons} of ${used}`);
    assertEquals(await skipped({ sparse: false }), 0);
  }));

async function withSparseFile(
  shape: Partial<ModelShape>,
  quant: SynthQuant,
  use: (path: string) => Promise<void>,
): Promise<void> {
  const out = await Deno.makeTempFile({ suffix: ".gguf" });
  try {
    const made = { quant, sparsity: 0.92, seed: 1, out, name: "few" };
    await synthesizeShape({ ...SHAPE, ...shape }, made);
    await use(out);
  } finally {
    await Deno.remove(out);
  }
}

/** Of every position, in steps of so many tokens. */
async function logits(
  path: string,
  options: LoadOptions,
  stepTokens: readonly number[],
): Promise<Float32Array[]> {
  return await withModel(path, { contextLength: 64, ...options }, async (model) => {
    const all: Float32Array[] = [];
    for (const tokens of stepTokens) all.push(await allLogits(model, IDS, tokens));
    return all;
  });
}
