/**
 * A packed model answers as the model that it was packed from, whatever share of it is in memory:
 * small models made from a seed, packed, run within budgets from the smallest possible one on.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess } from "@std/assert";
import type { StreamingChoice } from "../../src/rank/plan/plan_units.ts";
import type { LoadOptions } from "../../src/llm/mod.ts";
import type { StreamTimings } from "../../src/llm/types.ts";
import type { StreamingSteps } from "../../src/rank/plan/stream_types.ts";
import { nmse } from "../support/compare.ts";
import { deepOnly, deepTest, IS_DEEP } from "../support/deep.ts";
import { allLogits, greedyIds, withModel } from "../support/loaded_model.ts";
import { downsIn, FEW_SLOTS, READERS, withPacked } from "../support/packed_model.ts";
import { randomIds } from "../support/rng.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

const IDS = randomIds(21, { end: 256, seed: 8 });
/** Behind the prompt, as many as bring most of what it has put out; and of the text, one by one. */
const ANSWER_TOKENS = IS_DEEP ? 24 : 10;
const SINGLE_IDS = IS_DEEP ? IDS : IDS.slice(0, 12);
const ROUNDING_NMSE = 1e-4;
/** Rows of neurons are added up as integers, so many at a time: which, threads decide. */
const SIXTEENS_NMSE = 1e-3;

/** Neurons for two threads. */
const SHORT = { blockCount: 2, feedForwardLength: 64 };
const ALIKE = "another one here is streamed the same way";
interface Answers {
  /** Of every position, some tokens at a time. */
  readonly chunked: Float32Array;
  /** Of the first positions, token by token. */
  readonly single: Float32Array;
  readonly greedy: readonly number[];
}

const TYPES = [["bamboo", "F16"], ["bamboo", "Q8_0"], ["relu-llama", "Q4_0"]] as const;
for (const [architecture, type] of TYPES) {
  const deep = type === "Q8_0" ? ALIKE : undefined;
  deepTest(`${architecture} in ${type} answers the same from disk as from memory`, deep, () =>
    // A gate of F16 is a sector or more: slots that need none begin behind it.
    eachBudget({ architecture, type, blockCount: 4, embeddingLength: type === "F16" ? 320 : 64 }));
}

Deno.test("rwkv7 in Q8_0 answers the same from disk as from memory", () =>
  eachBudget({ architecture: "rwkv7", type: "Q8_0" }));

for (const type of ["E0M4", "Q4_K", "Q6_K", "MXFP4", "NVFP4"] as const) {
  // Superblocks are in the gate; rows of all types are the bits of the file's (tests/pack).
  const shape = { embeddingLength: 256, feedForwardLength: 768 };
  const run = () => eachBudget({ architecture: "bamboo", type, blockCount: 2, ...shape });
  const deep = type === "Q4_K" ? undefined : ALIKE;
  deepTest(`bamboo in ${type} answers the same from disk as from memory`, deep, run);
}

// That each type is packed to the bit is tests/pack/pack_file_test.ts.
for (
  const [tiny, isSilent] of [
    [{ architecture: "llama", type: "IQ3_S", typeOf: downsIn("Q4_0") }, false],
    [{ architecture: "smallthinker", type: "IQ1_M", typeOf: downsIn("Q8_0") }, true],
  ] satisfies [TinyModelOptions, boolean][]
) {
  Deno.test(`${tiny.architecture} in ${tiny.type} answers the same from disk as from memory`, () =>
    eachBudget({ ...tiny, embeddingLength: 256, blockCount: 2 }, isSilent));
}

Deno.test("bamboo with transposed down answers the same from disk as from memory", () =>
  eachBudget(
    { architecture: "bamboo", type: "Q4_0", blockCount: 4, magic: "PWRI" },
    true,
    SIXTEENS_NMSE,
  ));

Deno.test("a mixture of ReLU experts answers the same from disk as from memory", () =>
  eachBudget({ architecture: "smallthinker", type: "Q4_0", blockCount: 3 }));

Deno.test("neurons that are normalised answer the same from disk as from memory", () =>
  eachBudget({ architecture: "bitnet-b1.58", type: "Q4_0", blockCount: 4 }));

Deno.test("a model whose neurons all fire answers the same from disk as from memory", () =>
  eachBudget({ architecture: "llama", type: "Q4_0", blockCount: 4 }, false));

Deno.test("experts that read their layer's input answer the same from disk as from memory", () =>
  eachBudget({ architecture: "arctic", type: "Q4_0" }, false));

Deno.test("layers that convolve, keep states or have curves answer the same from disk as from memory", async () => {
  // Convolutions before experts, states beside none, layers of several sizes, xIELU.
  const few = ["lfm2moe", "nemotron_h", "deci", "apertus"] as const;
  for (const architecture of [...few, ...deepOnly("lfm2", "granitehybrid-moe")]) {
    await eachBudget({ architecture, type: "Q4_0" }, false);
  }
});

Deno.test("a mixture behind a dense layer answers the same from disk as from memory", () =>
  eachBudget({ architecture: "deepseek", type: "Q4_0", blockCount: 4 }, false));

for (const architecture of ["gpt2", "llama-biased", "gpt-oss"] as const) {
  Deno.test(`${architecture}, whose neurons have biases, answers the same from disk`, () =>
    eachBudget({ architecture, type: "Q8_0", blockCount: 4 }, false));
}

Deno.test("units that stay in their places answer what they answer when they come each time", async () => {
  for (const [architecture, type] of [["deepseek", "Q8_0"], ["gpt-oss", "MXFP4"]] as const) {
    await withPacked({ architecture, type, blockCount: 3 }, async (_, packed) => {
      const one = { ...FEW_SLOTS, hasResidentGates: false, slotCount: 0 };
      const ways = [[1, { stagePlaces: 4 }], [2, { stagePlaces: 9, arenaCount: 2 }]] as const;
      for (const [threads, way] of IS_DEEP ? ways : ways.slice(-1)) {
        const each = await ask(packed, { threads, streaming: one });
        assertEquals(await ask(packed, { threads, streaming: { ...one, ...way } }), each);
      }
      const by = (stagePlaces: number) =>
        streamedBy(packed, { threads: 1, streaming: { ...one, stagePlaces } });
      const some = await by(12);
      assert(some.hits > 0 && some.misses > 0);
      const { hits, misses } = await by(1000);
      assertEquals([hits, misses], [some.hits + some.misses, 0], "all came when it was loaded");
    });
  }
});

Deno.test("a thread without neurons on disk adds the bias that is its to add", () =>
  withPacked({ architecture: "gpt2" }, async (path, packed) => {
    // So few neurons are not shared out among three: the first thread has none.
    const streaming = { ...FEW_SLOTS, slotCount: 300 };
    const whole = await ask(path, { threads: 3 });
    assertAlike(await ask(packed, { threads: 3, streaming }), whole);
  }));

for (const architecture of ["deepseek2-grouped", "deepseek2-old", "llama4"] as const) {
  const run = () => eachBudget({ architecture, type: "Q4_0", blockCount: 4 }, false);
  const deep = architecture === "deepseek2-grouped" ? undefined : ALIKE;
  deepTest(`${architecture} answers the same from disk as from memory`, deep, run);
}

const PREDICTED: Record<string, TinyModelOptions> = {
  "neurons": { architecture: "bamboo", type: "F16" },
  "experts' neurons": { architecture: "drelu-moe", type: "Q4_0" },
  "neurons of early chosen experts": {
    architecture: "smallthinker",
    type: "F16",
    embeddingLength: 320,
  },
};

for (const [what, tiny] of Object.entries(PREDICTED)) {
  Deno.test(`${what} that a predictor names answer the same from disk as from memory`, () =>
    eachWayOfPredicting({ ...tiny, blockCount: 4, predictor: { rank: 8 } }));
}

/** What an answer of a packed model streamed. */
async function streamedBy(packed: string, options: LoadOptions): Promise<StreamTimings> {
  return await withModel(packed, options, async (model) => {
    const request = { ids: IDS, maxTokens: 8, sampling: { temperature: 0 }, ignoreEnd: true };
    return (await model.generate(request).result).timings.streamed!;
  });
}

/** Compares what is predicted from disk with what is predicted in memory. */
function eachWayOfPredicting(tiny: TinyModelOptions): Promise<void> {
  const isDense = tiny.architecture === "bamboo";
  return withPacked(tiny, async (path, packed) => {
    const whole = await ask(path, { threads: 1, predictor: "on" });
    for (const threads of [1, 2]) {
      const options = { threads, predictor: "on" } as const;
      const ways = [
        { slotCount: 160 },
        // Some experts of a layer are in memory, others are not.
        { slotCount: 320, residentUnits: 2 },
        { slotCount: isDense ? 320 : 640, hotShare: 0.5, arenaCount: 2 },
      ];
      for (const [index, way] of ways.entries()) {
        // Gates are on disk: whole bundles come, some of them ahead of their layer; or their gates.
        for (const readsGatesFirst of [false, true]) {
          // Two threads share experts where gates come first, and arenas where bundles do.
          // By one, the gate has both of the first and of a dense block's arenas, else one of each.
          const isAny = threads === 1 && (IS_DEEP || index === 0 || index === 2 && isDense);
          if (!isAny && index !== (readsGatesFirst ? 1 : 2)) continue;
          const streaming = { ...FEW_SLOTS, hasResidentGates: false, readsGatesFirst, ...way };
          const streamed = await ask(packed, { ...options, streaming });
          if (threads === 1) assertEquals(streamed, whole);
          else assertAlike(streamed, whole);
        }
      }
    }
  });
}

Deno.test("experts whose predictors are wrong answer exactly, from disk, too", () =>
  withPacked({
    ...{ architecture: "drelu-moe", type: "F16", blockCount: 3 },
    predictor: { rank: 8, brokenLayers: [0, 1, 2] },
  }, async (path, packed) => {
    const streaming = { ...FEW_SLOTS, hasResidentGates: false, slotCount: 160 };
    const exact = await ask(path, { threads: 1, predictor: "off" });
    assertEquals(await ask(packed, { threads: 1, streaming }), exact);
  }));

Deno.test("threads without neurons ask no predictors where the others ask gates", () =>
  withPacked(
    { ...SHORT, architecture: "bamboo", type: "Q4_0", predictor: { rank: 8 } },
    async (_, packed) => {
      const options = { threads: 3, streaming: FEW_SLOTS, ioWorkers: 1, predictor: "on" } as const;
      await withModel(packed, options, async (model) => {
        assertEquals((await greedyIds(model, IDS, 4)).length, 4);
      });
    },
  ));

for (const [what, tiny] of Object.entries(PREDICTED)) {
  Deno.test(`${what} are asked for ahead of their layer, and some of them are needed`, () =>
    withPacked({ ...tiny, blockCount: 4, predictor: { rank: 8 } }, async (_, packed) => {
      const streaming = { ...FEW_SLOTS, hasResidentGates: false, slotCount: 160 };
      const options = { threads: 2, predictor: "on", streaming } as const;
      const { askedAhead, neededAhead, misses } = await streamedBy(packed, options);
      assert(0 < neededAhead && neededAhead <= Math.min(askedAhead, misses));
      const without = { ...options, streamingSteps: { pipeline: false } };
      assertEquals((await streamedBy(packed, without)).askedAhead, 0);
    }));
}

Deno.test("gates that are read first bring fewer bytes in more reads where few neurons fire", () =>
  withPacked({
    ...{ architecture: "bamboo", type: "F16", blockCount: 4, embeddingLength: 320, tied: true },
    predictor: { rank: 8 },
  }, async (_, packed) => {
    // Every neuron is predicted: those that do not fire are known by their gates.
    const by = (readsGatesFirst: boolean) => {
      const few = { ...FEW_SLOTS, slotCount: 160, gapBytes: 0 };
      const streaming = { ...few, hasResidentGates: false, readsGatesFirst };
      const options = { threads: 1, predictor: "on", predictorThreshold: -1e9, streaming } as const;
      return streamedBy(packed, { ...options, ...READERS });
    };
    const whole = await by(false);
    const inTwo = await by(true);
    assertLess(inTwo.diskBytes, whole.diskBytes);
    assertLess(whole.diskReads, inTwo.diskReads);
  }));

Deno.test("a token of a model on disk reads neurons, and says how many it found", () =>
  withPacked(
    { architecture: "bamboo", type: "Q4_0", blockCount: 4, tied: true },
    async (_, packed) => {
      const options = { threads: 1, streaming: FEW_SLOTS, ioWorkers: 2 };
      const { hits, misses, diskBytes, askedAhead } = await streamedBy(packed, options);
      assert(hits > 0 && misses > 0, `${hits} hits, ${misses} misses`);
      assertEquals(diskBytes % 64, 0);
      assertLess(misses * 63, diskBytes);
      assertEquals(askedAhead, 0, "gates are there, nobody guesses");
    },
  ));

Deno.test("each step of streaming that is left out costs reads or waiting, and changes no answer", () => {
  // With the table in memory, too: all that is read are neurons.
  const tiny = { architecture: "bamboo", type: "Q4_0", blockCount: 4, tied: true } as const;
  return withPacked(tiny, async (_, packed) => {
    const counted = async (streamingSteps: Partial<StreamingSteps>, slotCount: number) => {
      const streaming = { ...FEW_SLOTS, slotCount, gapBytes: 256 }; // a gate
      const options = { threads: 1, ioWorkers: 2, streaming, streamingSteps };
      let answer!: { ids: readonly number[]; streamed: StreamTimings };
      await withModel(packed, options, async (model) => {
        const request = { ids: IDS, maxTokens: 12, sampling: { temperature: 0 }, ignoreEnd: true };
        const { ids, timings } = await model.generate(request).result;
        answer = { ids, streamed: timings.streamed! };
      });
      return answer;
    };
    const all = await counted({}, 320);
    const few = await counted({ cache: false }, 160);
    const separate = await counted({ cache: false, bundles: false }, 160);
    const barrier = await counted({ pipeline: false }, 320);
    for (const { ids } of [few, separate, barrier]) assertEquals(ids, all.ids);

    const { hits, misses, diskReads, diskBytes } = all.streamed;
    assertLess(few.streamed.hits, hits);
    assertLess(diskBytes, few.streamed.diskBytes);
    assertLess(diskReads, misses); // neighbours come with one read
    // Up and down of each neuron.
    assertEquals(separate.streamed.diskReads, 2 * separate.streamed.misses);
    assertEquals(separate.streamed.misses, few.streamed.misses);
    assertLess(few.streamed.diskReads, separate.streamed.diskReads);
    assertEquals(barrier.streamed.misses, misses);
    // What all gates list is asked for at once: more of it are neighbours.
    assert(barrier.streamed.diskReads <= diskReads);
  });
});

Deno.test("requests at once are answered from disk as alone, while the border in slots moves", () =>
  withPacked({ architecture: "bamboo", type: "Q4_0", blockCount: 4 }, async (_, packed) => {
    const streaming = { ...FEW_SLOTS, slotCount: 320, hotShare: [0.9, 0.1, 0.6] };
    const options = { threads: 1, streaming, parallel: 3, ...READERS };
    await withModel(packed, options, async (model) => {
      const requests = [0, 1, 2].map((i) => ({
        ids: IDS.slice(i),
        maxTokens: 12 + 6 * i, // they end one after another
        sampling: { temperature: 0 },
        ignoreEnd: true,
      }));
      const ids = async (request: typeof requests[number]) =>
        (await model.generate(request).result).ids;
      const alone = [];
      for (const request of requests) alone.push(await ids(request));
      assertEquals(await Promise.all(requests.map(ids)), alone);
    });
  }));

Deno.test("whole bundles are three reads without bundles, and the same answer", () => {
  const tiny: TinyModelOptions = {
    ...{ architecture: "bamboo", type: "F16", blockCount: 4, embeddingLength: 320 },
    predictor: { rank: 8 },
  };
  return withPacked(tiny, async (_, packed) => {
    const streaming = { ...FEW_SLOTS, hasResidentGates: false, slotCount: 160 };
    const options = { threads: 2, predictor: "on", streaming } as const;
    const all = await ask(packed, options);
    for (const streamingSteps of [{ bundles: false }, { pipeline: false }]) {
      assertEquals(await ask(packed, { ...options, streamingSteps }), all);
    }
  });
});

Deno.test("experts answer the same without the pipeline and without bundles", () =>
  withPacked({ architecture: "smallthinker", type: "Q4_0", blockCount: 3 }, async (_, packed) => {
    const streaming = { ...FEW_SLOTS, slotCount: 64 + 4 * 96 };
    const all = await ask(packed, { threads: 2, streaming });
    const streamingSteps = { bundles: false, pipeline: false };
    assertEquals(await ask(packed, { threads: 2, streaming, streamingSteps }), all);
  }));

/** Models of which the gate takes every way: silent neurons, experts', and such as all fire. */
const IN_ALL_WAYS: readonly (string | undefined)[] = ["relu-llama", "smallthinker", "llama"];

/** The ways to run a packed model: nothing of it in memory, half of it, all. */
function waysOf(
  { architecture, feedForwardLength = 96 }: TinyModelOptions,
  isSilent: boolean,
): StreamingChoice[] {
  // Room for what one token may need of a layer, and for less than four layers have.
  const largest = 64 + (architecture === "smallthinker" ? 4 : 1) * feedForwardLength;
  const whole = { ...FEW_SLOTS, residentUnits: 1e9 };
  // Neurons that all fire are staged: they need no slots.
  if (!isSilent) return [FEW_SLOTS, { ...FEW_SLOTS, residentUnits: 1, arenaCount: 2 }, whole];
  return [
    { ...FEW_SLOTS, slotCount: largest },
    { ...FEW_SLOTS, slotCount: 1.5 * largest, hotShare: 0.5, residentUnits: 1 },
    { ...FEW_SLOTS, slotCount: 2 * largest, hotShare: 0.5, arenaCount: 2 },
    whole,
  ];
}

/**
 * Compares the packed model with the plain one: bit for bit with one thread, if isExact, which
 * models are whose neurons are silent as a rule.
 */
async function eachBudget(
  tiny: TinyModelOptions,
  isExact = true,
  roundingNmse = ROUNDING_NMSE,
): Promise<void> {
  await withPacked(tiny, async (path, packed) => {
    const byOneThread = await ask(path, { threads: 1 });
    for (const threads of [1, 2]) {
      // Where all neurons fire, what two threads round is as far from what one does.
      const whole = threads === 1 || isExact ? byOneThread : await ask(path, { threads });
      const ways = waysOf(tiny, isExact);
      const [least, inArenas] = [ways[0], ways.at(-2)!];
      const isAll = IS_DEEP || IN_ALL_WAYS.includes(tiny.architecture) && tiny.type === "Q4_0";
      // What threads share of slots and arenas; what is exact with one is near with two.
      const few = [least, inArenas];
      const [byOne, byTwo] = isAll ? [ways, few] : [few, [isExact ? least : inArenas]];
      for (const streaming of threads === 1 ? byOne : byTwo) {
        const streamed = await ask(packed, { threads, streaming });
        if (threads === 1 && isExact) assertEquals(streamed, whole, JSON.stringify(streaming));
        else assertAlike(streamed, whole, roundingNmse);
      }
    }
  });
}

/**
 * Threads may share a packed model in another way, and down of neurons that all fire lies by rows
 * where it is in memory: sums are in another order then, and activations may round to other int8.
 */
function assertAlike(streamed: Answers, whole: Answers, most = ROUNDING_NMSE): void {
  assertLess(nmse(streamed.chunked, whole.chunked), most);
  assertLess(nmse(streamed.single, whole.single), most);
  assertEquals(streamed.greedy[0], whole.greedy[0]); // later ones may part at ties
}

async function ask(path: string, options: LoadOptions): Promise<Answers> {
  return await withModel(path, { ...READERS, ...options }, async (model) => ({
    chunked: await allLogits(model, IDS),
    greedy: await greedyIds(model, IDS, ANSWER_TOKENS),
    single: await allLogits(model, SINGLE_IDS, 1),
  }));
}
