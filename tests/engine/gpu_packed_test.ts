/**
 * A GPU beside threads that stream a packed model: it has the heads and the most frequent neurons
 * of each stripe, which the threads neither read nor compute. Small models made from a seed, beside
 * the threads alone.
 */
import "../support/thread_pool.ts";
import { assertEquals, assertLess } from "@std/assert";
import type { LoadOptions } from "../../src/llm/mod.ts";
import { nmse } from "../support/compare.ts";
import { gpuTest } from "../support/gpu_model.ts";
import { allLogits, withModel } from "../support/loaded_model.ts";
import { FEW_SLOTS, READERS, withPacked } from "../support/packed_model.ts";
import { Rng } from "../support/rng.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

sizesAsData();

const IDS = Array.from({ length: 21 }, ((rng) => () => rng.int(256))(new Rng(8)));
/** F32 weights, keys and values: only the order of sums differs. */
const F32_NMSE = 1e-11;
/** Activations are not rounded to int8 on a GPU. */
const QUANT_NMSE = 5e-3;
/** What is predicted from a stream that differs in its last bits. */
const PREDICTED_NMSE = 1e-7;

const SLOTS = { ...FEW_SLOTS, slotCount: 2048, hotShare: .5 };
/** Where the threads' neurons are: in slots, in a stage, unit after unit, or all in memory. */
const WAYS = {
  slots: { streaming: SLOTS },
  stage: { streaming: { ...SLOTS, hasResidentGates: false, slotCount: 0 } },
  predicted: { streaming: { ...SLOTS, hasResidentGates: false }, predictor: "on" },
  memory: { streaming: { ...SLOTS, residentUnits: 99 } },
} satisfies Record<string, LoadOptions>;
type Way = keyof typeof WAYS;

interface Answers {
  /** Of every position, 8 tokens at a time, and token by token. */
  readonly logits: Float32Array;
  readonly single: Float32Array;
  readonly ids: readonly number[];
  /** Read for the ids. */
  readonly diskBytes: number;
  /** Share of the threads' firing neurons that predictors found in the rehearsal; 1: none do. */
  readonly recall: number;
}

async function ask(path: string, options: LoadOptions): Promise<Answers> {
  let answers: Answers | null = null;
  await withModel(path, { ...READERS, chunkTokens: 8, ...options }, async (model) => {
    assertEquals(model.gpu !== null, options.gpu === "force", "who computes");
    const logits = await allLogits(model, IDS);
    const single = await allLogits(model, IDS, 1);
    const sampling = { temperature: 0 };
    const asked = { ids: IDS.slice(0, 9), maxTokens: 8, sampling, ignoreEnd: true };
    const { ids, timings } = await model.generate(asked).result;
    const { diskBytes } = timings.streamed!;
    const choices = model.predictors?.choices ?? [];
    const sumOf = (of: "fired" | "found") => choices.reduce((sum, choice) => sum + choice[of], 0);
    const recall = sumOf("fired") === 0 ? 1 : sumOf("found") / sumOf("fired");
    answers = { logits, single, ids, diskBytes, recall };
  });
  return answers!;
}

/** cases: where the threads' neurons are, the GPU's share of them, and how many threads. */
async function compare(
  tiny: TinyModelOptions,
  cases: readonly (readonly [Way, number, number])[],
  bound: number,
): Promise<void> {
  const model = { seed: 3, feedForwardLength: 2048, blockCount: 2, ...tiny };
  await withPacked(model, async (_, file) => {
    const alone = new Map<Way, Answers>();
    for (const [way, hotShare, threads] of cases) {
      const expected = alone.get(way) ?? await ask(file, { threads: 1, ...WAYS[way] });
      alone.set(way, expected);
      const found = await ask(file, { gpu: "force", hotShare, threads, ...WAYS[way] });
      const name = `${way}, ${hotShare}, ${threads} threads`;
      assertLess(nmse(found.logits, expected.logits), bound, name);
      assertLess(nmse(found.single, expected.single), bound, name);
      assertLess(expected.recall - found.recall, .02, name);
      if (bound === F32_NMSE) assertEquals(found.ids, expected.ids, name);
      if (way === "memory") continue;
      if (hotShare === 1) assertLess(found.diskBytes, .01 * expected.diskBytes, name);
      if (hotShare === .5) assertLess(found.diskBytes, .75 * expected.diskBytes, name);
    }
  });
}

gpuTest(
  "a packed model in F32 answers the same with its heads and hot neurons on a GPU",
  () =>
    compare(
      { architecture: "bamboo", type: "F32" },
      [["slots", 0, 1], ["slots", .5, 1], ["slots", 1, 1], ["stage", .5, 2], ["memory", .5, 1]],
      F32_NMSE,
    ),
);

gpuTest("predictors name what threads read, and leave to a GPU what is its own", async () => {
  for (const architecture of ["bamboo", "smallthinker"] as const) {
    await compare(
      { architecture, type: "F32", embeddingLength: 128, predictor: { rank: 8 } },
      // Experts stay the threads'.
      [["predicted", architecture === "bamboo" ? .5 : 0, 2]],
      PREDICTED_NMSE,
    );
  }
});

function typeOfPredictors(name: string) {
  return name.includes("fc2") ? "Q8_0" as const : undefined;
}

gpuTest("neurons of quantised types come to a GPU out of a packed file", async () => {
  await compare({ architecture: "relu-llama", type: "Q4_0" }, [["slots", .5, 1]], QUANT_NMSE);
  // Neurons that all fire; down that lies neuron by neuron.
  await compare({ architecture: "llama", type: "Q8_0" }, [["stage", .5, 1]], QUANT_NMSE);
  const byNeuron = { architecture: "bamboo", type: "Q4_0", magic: "PWRI" } as const;
  await compare(byNeuron, [["slots", .5, 1]], QUANT_NMSE);
  // Predictors that lie by columns, of which rows are picked.
  const byColumns = { predictor: { rank: 32 }, typeOf: typeOfPredictors };
  const wide = { embeddingLength: 128, ...byColumns };
  await compare(
    { architecture: "bamboo", type: "Q4_0", ...wide },
    [["predicted", .5, 1]],
    QUANT_NMSE,
  );
  const superblocks = { embeddingLength: 256, feedForwardLength: 4096, blockCount: 1 };
  await compare(
    { architecture: "bamboo", type: "Q4_K", ...superblocks },
    [["slots", .25, 1]],
    QUANT_NMSE,
  );
});
