/**
 * A GPU beside threads that stream a packed model, asked what the threads alone are asked: in steps
 * of several tokens, token by token, and for an answer.
 */
import { assertEquals, assertLess } from "@std/assert";
import type { LoadOptions } from "../../src/llm/mod.ts";
import { nmse } from "./compare.ts";
import { IS_DEEP } from "./deep.ts";
import { allLogits, withModel } from "./loaded_model.ts";
import { FEW_SLOTS, READERS, withPacked } from "./packed_model.ts";
import { randomIds } from "./rng.ts";
import type { TinyModelOptions } from "./tiny_model.ts";

const IDS = randomIds(21, { end: 256, seed: 8 });
/** Token by token: half of them show what all would. */
const ONE_BY_ONE = IDS.slice(0, IS_DEEP ? IDS.length : 11);
/** F32 weights, keys and values: only the order of sums differs. */
export const F32_NMSE = 1e-11;
/** Activations are not rounded to int8 on a GPU. */
export const QUANT_NMSE = 5e-3;
/** What is predicted from a stream that differs in its last bits. */
export const PREDICTED_NMSE = 1e-7;

const SLOTS = { ...FEW_SLOTS, slotCount: 2048, hotShare: .5 };
/** Where the threads' neurons are: in slots, in a stage, unit after unit, or all in memory. */
export const WAYS = {
  slots: { streaming: SLOTS },
  stage: { streaming: { ...SLOTS, hasResidentGates: false, slotCount: 0 } },
  predicted: { streaming: { ...SLOTS, hasResidentGates: false }, predictor: "on" },
  memory: { streaming: { ...SLOTS, residentUnits: 99 } },
} satisfies Record<string, LoadOptions>;
export type Way = keyof typeof WAYS;

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
    const single = await allLogits(model, ONE_BY_ONE, 1);
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

/**
 * cases: where the threads' neurons are, the GPU's share of them, and how many threads.
 */
export async function compareBeside(
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
