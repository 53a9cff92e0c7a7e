/**
 * A packed model answers as the model that it was packed from, whatever share of it is in memory:
 * small models made from a seed, packed, run within budgets from the smallest possible one on.
 */
import { assert, assertEquals, assertLess } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { MiB } from "../../src/base/units.ts";
import { loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import { packFile } from "../../src/pack/mod.ts";
import { nmse } from "../support/compare.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { Rng } from "../support/rng.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

const IDS = Array.from({ length: 21 }, ((rng) => () => rng.int(256))(new Rng(8)));
const ANSWER_TOKENS = 24;
const ROUNDING_NMSE = 1e-4;

interface Answers {
  /** Of every position, some tokens at a time. */
  readonly chunked: Float32Array;
  /** Of every position, token by token. */
  readonly single: Float32Array;
  readonly greedy: readonly number[];
}

for (const type of ["F16", "Q8_0", "Q4_0"] as const) {
  for (const architecture of ["bamboo", "relu-llama"] as const) {
    Deno.test(`${architecture} in ${type} answers the same from disk as from memory`, () =>
      eachBudget({ architecture, type, blockCount: 4 }));
  }
}

for (const type of ["Q4_K", "Q6_K"] as const) {
  Deno.test(`bamboo in ${type} answers the same from disk as from memory`, () =>
    eachBudget({
      ...{ architecture: "bamboo", type, blockCount: 3 },
      ...{ embeddingLength: 256, feedForwardLength: 768 },
    }));
}

Deno.test("bamboo with transposed down answers the same from disk as from memory", () =>
  eachBudget({ architecture: "bamboo", type: "Q4_0", blockCount: 4, magic: "PWRI" }));

Deno.test("a mixture of ReLU experts answers the same from disk as from memory", () =>
  eachBudget({ architecture: "smallthinker", type: "Q4_0", blockCount: 3 }));

Deno.test("a model whose neurons all fire answers the same from disk as from memory", () =>
  eachBudget({ architecture: "llama", type: "Q4_0", blockCount: 4 }, false));

/** Compares the packed model with the plain one: bit for bit with one thread, if isExact. */
async function eachBudget(tiny: TinyModelOptions, isExact = true): Promise<void> {
  await withTinyFile(tiny, async (path) => {
    const packed = path.replace(/\.gguf$/, ".ganglion");
    try {
      await packFile({ input: path, out: packed, stats: null, sectorBytes: 512 });
      for (const threads of [1, 2]) {
        const whole = await ask(path, { threads });
        const least = await leastBudget(packed, { threads });
        for (const memoryBytes of [least, least + MiB / 4, least + 512 * MiB]) {
          const streamed = await ask(packed, { threads, memoryBytes });
          if (threads === 1 && isExact) assertEquals(streamed, whole, `${memoryBytes} bytes`);
          else assertAlike(streamed, whole);
        }
      }
    } finally {
      await Deno.remove(packed).catch(() => {});
    }
  });
}

/**
 * Threads may share a packed model in another way, and down of neurons that all fire lies by rows
 * where it is in memory: sums are in another order then, and activations may round to other int8.
 */
function assertAlike(streamed: Answers, whole: Answers): void {
  assertLess(nmse(streamed.chunked, whole.chunked), ROUNDING_NMSE);
  assertLess(nmse(streamed.single, whole.single), ROUNDING_NMSE);
  assertEquals(streamed.greedy, whole.greedy);
}

async function ask(path: string, options: LoadOptions): Promise<Answers> {
  const answers: Partial<Record<keyof Answers, Answers[keyof Answers]>> = {};
  await withModel(path, { ...options, ioWorkers: 2 }, async (model) => {
    answers.chunked = await allLogits(model, IDS);
    answers.greedy = await greedyIds(model, IDS, ANSWER_TOKENS);
  });
  await withModel(path, { ...options, ioWorkers: 2, chunkTokens: 1 }, async (model) => {
    answers.single = await allLogits(model, IDS);
  });
  return answers as Answers;
}

/** The budget that a refusal asks for. */
async function leastBudget(path: string, options: LoadOptions): Promise<number> {
  try {
    const model = await loadModel(path, { ...options, memoryBytes: 1 });
    await model.close();
  } catch (error) {
    assert(error instanceof UnsupportedModelError, String(error));
    const said = /at least ([\d.]+) MiB/.exec(error.message);
    assert(said !== null, error.message);
    return Math.ceil(Number(said[1])) * MiB;
  }
  throw new Error("a byte of memory was enough");
}
