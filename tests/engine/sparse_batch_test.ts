/**
 * Several requests at once of models whose silent neurons are left out: each token of a step is
 * listed as if it were alone, so that answers have the same bits whoever is beside them, in memory
 * and from disk, by gates and by predictors. On small models made from a seed.
 */
import "../support/thread_pool.ts";
import { assertEquals, assertGreater } from "@std/assert";
import { openModelFile } from "../../src/bundle/mod.ts";
import { isSilentKind } from "../../src/model/mod.ts";
import { independentRows } from "../../src/engine/row_independence.ts";
import { describeForUse, type LoadOptions, planModel } from "../../src/llm/mod.ts";
import { deepTest, IS_DEEP } from "../support/deep.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { FEW_SLOTS, withPacked } from "../support/packed_model.ts";
import { hearAlone, hearTogether, someRequests } from "../support/some_requests.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";
import { loadKernelModule } from "../../wasm/mod.ts";

const REQUESTS = someRequests(8, IS_DEEP ? 24 : 16).map((request) => ({
  ...request,
  ids: request.ids.slice(-90),
}));
const SHAPE = { blockCount: 3, embeddingLength: 128, feedForwardLength: 256, contextLength: 300 };
const PREDICTED = { ...SHAPE, predictor: { rank: 8 } };
const PREDICTS = { predictor: "on" } as const;

const MODELS: readonly (readonly [string, TinyModelOptions, LoadOptions])[] = [
  ["a ReLU llama in Q4_0, 1 thread", { architecture: "relu-llama", type: "Q4_0" }, { threads: 1 }],
  ["bamboo in Q8_0, 3 threads", { architecture: "bamboo", type: "Q8_0" }, { threads: 3 }],
  ["bamboo in F16", { architecture: "bamboo", type: "F16" }, {}],
  ["bamboo with transposed down", { architecture: "bamboo", type: "Q4_0", magic: "PWRI" }, {}],
  ["arcee, which has no gates", { architecture: "arcee", type: "Q4_0" }, {}],
  ["neurons that are normalised", { architecture: "bitnet-b1.58", type: "Q8_0" }, {}],
  ["smallthinker", { architecture: "smallthinker", type: "Q4_0" }, {}],
  ["a dReLU mixture", { architecture: "drelu-moe", type: "Q8_0" }, {}],
  ["predicted neurons", { ...PREDICTED, architecture: "bamboo", type: "Q8_0" }, PREDICTS],
  ["predicted neurons of experts", { ...PREDICTED, architecture: "drelu-moe", type: "F16" }, {
    ...PREDICTS,
    chunkTokens: 5,
  }],
];

/** What in the gate is as these are. */
const ALIKE: Readonly<Record<string, string>> = {
  "bamboo in F16": "bamboo in Q8_0 and predicted F16 experts",
  "a dReLU mixture": "smallthinker and predicted neurons of experts",
  "by predictors": "gates first, and experts by predictors",
};

function deepFor(name: string): string | undefined {
  return name in ALIKE ? `in the gate are ${ALIKE[name]}` : undefined;
}

for (const [name, form, options] of MODELS) {
  const same = `generate() of ${name} gives the same bits alone and in a batch of 8`;
  deepTest(
    same,
    deepFor(name),
    () =>
      withTinyFile({ ...SHAPE, ...form }, (path) => assertSame(path, { threads: 2, ...options })),
  );
}

const ON_DISK: readonly (readonly [string, TinyModelOptions, LoadOptions])[] = [
  ["by their gates", { architecture: "bamboo", type: "Q4_0" }, { streaming: FEW_SLOTS }],
  ["by predictors", { ...PREDICTED, architecture: "bamboo", type: "F16" }, {
    ...PREDICTS,
    streaming: { ...FEW_SLOTS, hasResidentGates: false, slotCount: 160 },
  }],
  ["gates first", { ...PREDICTED, architecture: "bamboo", type: "F16" }, {
    ...PREDICTS,
    streaming: { ...FEW_SLOTS, hasResidentGates: false, slotCount: 160, readsGatesFirst: true },
  }],
  ["of experts", { ...PREDICTED, architecture: "drelu-moe", type: "Q4_0" }, {
    ...PREDICTS,
    streaming: { ...FEW_SLOTS, hasResidentGates: false, slotCount: 320, residentUnits: 2 },
  }],
  ["that are normalised", { architecture: "bitnet-b1.58", type: "Q4_0" }, { streaming: FEW_SLOTS }],
  ["that all fire", { architecture: "llama", type: "Q4_0" }, { streaming: FEW_SLOTS }],
];

for (const [name, form, options] of ON_DISK) {
  const same = `generate() of neurons on disk, ${name}, gives the same bits alone and beside`;
  deepTest(same, deepFor(name), () =>
    withPacked(
      { ...SHAPE, ...form },
      (_, packed) => assertSame(packed, { threads: 2, ioWorkers: 2, ...options }, 4),
    ));
}

/** Answers share steps, or else nobody would be beside anybody: but where all neurons fire. */
async function assertShared(path: string, options: LoadOptions): Promise<void> {
  const { file, packed } = openModelFile(path);
  const model = describeForUse(file, options);
  const plans = planModel({ file, model, packed }, await loadKernelModule(), options);
  const expected = isSilentKind(model.config.feedForward.activation) ? "answers" : "none";
  assertEquals(independentRows(plans, { isObserved: false }), expected);
  assertGreater(plans[0].logitsRows, 1);
}

async function assertSame(path: string, options: LoadOptions, count = 8): Promise<void> {
  const requests = REQUESTS.slice(0, count);
  await assertShared(path, { ...options, parallel: count });
  const alone = await withOne(path, { ...options, parallel: 1 });
  await withModel(path, { ...options, parallel: count }, async (model) => {
    assertEquals(await hearTogether(model, requests), alone, "cold");
    assertEquals(await hearTogether(model, requests.toReversed()), alone.toReversed());
    // In the gate batch_test.ts asks so.
    if (IS_DEEP) assertEquals(await hearAlone(model, requests), alone, "alone again");
  });

  async function withOne(path: string, options: LoadOptions) {
    let heard: Awaited<ReturnType<typeof hearAlone>> = [];
    await withModel(path, options, async (model) => {
      heard = await hearAlone(model, requests);
    });
    heard.forEach(({ ids, logprobs }) => assertGreater(logprobs.length, ids.length));
    return heard;
  }
}
