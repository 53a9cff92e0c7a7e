/**
 * Several tokens a wait on a GPU against one a wait, of the same rank: the same ids, whatever ends
 * the answer, and as many waits as there are chains. On small models made from a seed.
 */
import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { Leader } from "../../src/engine/leader.ts";
import { createLogprobRows } from "../../src/engine/logprob_rows.ts";
import { SeededRandom } from "../../src/engine/sampler_random.ts";
import type { EngineRequest } from "../../src/engine/types.ts";
import { list } from "../../src/gguf/mod.ts";
import { compileGrammar, type VocabularyBytes } from "../../src/grammar/mod.ts";
import type { RankRunner } from "../../src/rank/open_rank.ts";
import { TokenChain } from "../../src/rank/gpu/token_chain.ts";
import { answerNow } from "../support/answer_now.ts";
import { chainTest, openChainRunner } from "../support/chain_runner.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";

sizesAsData();

/** A third of a token on llvmpipe is its output: the smallest vocabulary that can be made. */
const SHAPE = { seed: 3, contextLength: 224, blockCount: 2, vocabSize: 360 } as const;

/** One token a wait, and as many as there are. */
function leadersOf(runner: RankRunner): { single: Leader; chained: Leader } {
  return {
    single: new Leader(runner, { waitMs: 0 }),
    chained: new Leader(runner, { waitMs: Infinity }),
  };
}

const GREEDY: EngineRequest = {
  ...{ ids: [5, 6, 7], maxTokens: 200, sampling: { temperature: 0 }, endIds: [] },
};

/** How an answer came to be. */
function answer(runner: RankRunner, leader: Leader, request: EngineRequest) {
  const before = mappings;
  runner.control.openSlot(0);
  const { finishReason, timings } = answerNow(leader, request);
  const { control } = runner;
  const ids = [...control.outputIds(0).subarray(0, control.outputCount(0))];
  assertEquals(timings.predictedTokens, ids.length);
  return { ids, finishReason, cached: timings.cachedTokens, waits: mappings - before };
}

/** Waits of the process: a mapping each. */
let mappings = 0;
/** The device that was opened last, and what is done when it is sent something. */
let device: GPUDevice | null = null;
let onSubmit: () => void = () => {};
let onWrite: () => void = () => {};
const { mapAsync } = GPUBuffer.prototype;
GPUBuffer.prototype.mapAsync = function (...args) {
  mappings++;
  return mapAsync.apply(this, args);
};
const { requestDevice } = GPUAdapter.prototype;
GPUAdapter.prototype.requestDevice = async function (...args) {
  return device = await requestDevice.apply(this, args);
};
const { submit } = GPUQueue.prototype;
GPUQueue.prototype.submit = function (...args) {
  onSubmit();
  return submit.apply(this, args);
};
const { writeBuffer } = GPUQueue.prototype;
GPUQueue.prototype.writeBuffer = function (...args) {
  onWrite();
  return writeBuffer.apply(this, args);
};

/** Tokens of a chain that the GPU goes on behind, and those that it is ahead then. */
const CHAINED = 14;
const AHEAD = 2;

/** A token, two chains, and a few: beyond a block of the caches. */
const ANSWER = 1 + 2 * CHAINED + 5;

/** Ranks whose programs were run often enough. */
const warmed = new WeakSet<RankRunner>();

/** First runs of programs are waited for slice by slice, leaders know no times: not counted. */
function warm(runner: RankRunner, leaders: readonly Leader[]): void {
  for (const leader of leaders) {
    const answers = warmed.has(runner) ? [10, 1] : [30, 18, 18, 1, 1];
    warmed.add(runner);
    for (const maxTokens of answers) answer(runner, leader, { ...GREEDY, maxTokens });
  }
}

/** Ids by one token a wait and by several, and how often was waited. */
function compare(runner: RankRunner): void {
  const { single, chained } = leadersOf(runner);
  warm(runner, [chained, single]);
  for (const sampling of [{ temperature: 0 }, { seed: 5, temperature: 1.4 }]) {
    const isGreedy = sampling.temperature === 0;
    const maxTokens = ANSWER;
    const request = { ...GREEDY, maxTokens, sampling };
    const one = answer(runner, single, request);
    const several = answer(runner, chained, request);
    assertEquals(several.ids, one.ids);
    assertEquals(one.waits, maxTokens, "the prompt's, and one for each token behind the first");
    const least = 1 + 3;
    // A draw on the edge of two ids may cut a chain short.
    const most = isGreedy ? least : least + 2;
    assert(several.waits >= least && several.waits <= most, `${several.waits} of ${least} waits`);
  }
}

chainTest(
  "a chain of tokens gives the ids of single ones, of one table for both ends, of experts",
  async () => {
    // Of gemma4 each token gives layers something: there is a second table.
    for (const architecture of ["gemma4", "qwen2moe", "minicpm3"] as const) {
      const { blockCount, ...shape } = SHAPE;
      const layers = architecture === "gemma4" ? {} : { blockCount };
      await withTinyFile({ ...shape, ...layers, architecture, type: "F32" }, async (path) => {
        const runner = await openChainRunner(path);
        compare(runner);
        runner.close();
      });
    }
  },
  {
    deep: "the chain of Q4_0 below has all that ends one, and gpu_test.ts such experts and latents",
  },
);

chainTest(
  "a chain of tokens says none that a file silences, though the GPU chooses it",
  async () => {
    const isSilenced = (id: number) => id % 6 === 0;
    const silenced = Array.from({ length: SHAPE.vocabSize }, (_, id) => id).filter(isSilenced);
    const metadata = [["tokenizer.ggml.suppress_tokens", list(Int32Array.from(silenced))] as const];
    await withTinyFile({ ...SHAPE, type: "F32", metadata }, async (path) => {
      const runner = await openChainRunner(path);
      const { single, chained } = leadersOf(runner);
      warm(runner, [chained]);
      const request = { ...GREEDY, maxTokens: ANSWER };
      const { ids } = answer(runner, chained, request);
      assertEquals(ids, answer(runner, single, request).ids);
      assertEquals(ids.filter(isSilenced), []);
      runner.close();
    });
  },
);

chainTest("a chain of tokens leaves a state of each, to go on behind any of them", async () => {
  for (const architecture of ["qwen35", "lfm2"] as const) {
    await withTinyFile({ ...SHAPE, architecture, type: "F32" }, async (path) => {
      const runner = await openChainRunner(path);
      checkOtherChoices(runner);
      checkEnds(runner);
      runner.close();
    });
  }
});

chainTest("a chain of tokens gives the ids of single ones, and takes a wait", async () => {
  await withTinyFile({ ...SHAPE, type: "Q4_0" }, async (path) => {
    const runner = await openChainRunner(path);
    compare(runner);
    checkOtherChoices(runner);
    checkEnds(runner);
    checkSingles(runner);
    checkLeads(runner);
    checkCancel(runner);
    checkLoss(runner);
    runner.close();
  });
});

/** A GPU that chooses otherwise, or cannot tell the best, costs waits and never changes ids. */
function checkOtherChoices(runner: RankRunner): void {
  const { single, chained } = leadersOf(runner);
  warm(runner, [chained]);
  // A chain that is cut short, 64 tokens one by one, and a chain.
  const request = { ...GREEDY, maxTokens: 80, sampling: { seed: 5, temperature: 1.4 } };
  const one = answer(runner, single, request);
  const { peek } = SeededRandom.prototype;
  SeededRandom.prototype.peek = function (points, count) {
    peek.call(this, points, count);
    for (let i = 3; i < count; i += 4) points[i] = 0;
  };
  const other = answer(runner, chained, request);
  assertEquals(other.ids, one.ids);
  // The last id of a chain, behind which the GPU has gone on.
  let isOther = 0;
  SeededRandom.prototype.peek = function (points, count) {
    peek.call(this, points, count);
    if (count === CHAINED + AHEAD) points[CHAINED - 1] = ++isOther && 0;
  };
  assertEquals(answer(runner, chained, request).ids, one.ids);
  assert(isOther > 3);
  SeededRandom.prototype.peek = peek;
  assert(other.waits >= 15 && other.waits <= 40, `${other.waits} waits`);

  const { bestAt } = TokenChain.prototype;
  let asked = 0;
  TokenChain.prototype.bestAt = function (index) {
    return ++asked === 5 ? null : bestAt.call(this, index);
  };
  const untold = answer(runner, chained, request);
  TokenChain.prototype.bestAt = bestAt;
  assertEquals(untold.ids, one.ids);
  // The prompt's, 4 of a chain, 64 single ones, 11 in another chain.
  assertEquals(untold.waits, 1 + 1 + 64 + 1);
}

/** A chain ends where its answer does; what is remembered of it is what was accepted. */
function checkEnds(runner: RankRunner): void {
  let { single, chained } = leadersOf(runner);
  const { ids } = answer(runner, single, { ...GREEDY, maxTokens: 60 });
  const firsts = ids.map((_, at) => at).filter((at) => at > 4 && ids.indexOf(ids[at]) === at);
  for (const at of firsts.slice(-1)) {
    // Leaders know nothing of each other: what one remembers another one writes over.
    ({ single, chained } = leadersOf(runner));
    warm(runner, [chained]);
    const ended = answer(runner, chained, { ...GREEDY, endIds: [ids[at]] });
    assertEquals([ended.finishReason, ended.ids], ["stop", ids.slice(0, at)]);
    const next = { ...GREEDY, ids: [...GREEDY.ids, ...ended.ids, 9, 10], maxTokens: 12 };
    assertEquals(answer(runner, chained, next).ids, answer(runner, single, next).ids);
  }
  for (const maxTokens of [1, 2, 9, 12]) {
    const { finishReason, ids: found } = answer(runner, chained, { ...GREEDY, maxTokens });
    assertEquals([finishReason, found], ["length", ids.slice(0, maxTokens)]);
  }
  // To the end of the context.
  const long = { ...GREEDY, ids: Array.from({ length: 190 }, (_, i) => 3 + i), maxTokens: 100 };
  const { ids: last } = answer(runner, chained, long);
  assertEquals(last.length, SHAPE.contextLength - 190);
  assertEquals(last, answer(runner, single, long).ids);
}

/** Who is beside others, penalised, biased or looked into has a wait for each token. */
function checkSingles(runner: RankRunner): void {
  const { single, chained } = leadersOf(runner);
  warm(runner, [chained]);
  const others: Partial<EngineRequest>[] = [
    { sampling: { temperature: 0, repeatPenalty: 1.1 } },
    { sampling: { temperature: 0, logitBias: new Map([[5, 1]]) } },
    { sampling: { topK: 0, seed: 1 } },
    { sampling: { typicalP: 0.9, seed: 1 } },
    { logprobs: createLogprobRows(1, 20) },
  ];
  for (const other of others) {
    const { waits } = answer(runner, chained, { ...GREEDY, ...other, maxTokens: 20 });
    assertEquals(waits, 20, Object.keys(other.sampling ?? other).join());
  }
  const ends: string[] = [];
  const end = { done: () => ends.push("done"), failed: (error: unknown) => ends.push(`${error}`) };
  const { control } = runner;
  control.openSlot(0);
  chained.begin({ ...GREEDY, maxTokens: 40 }, 0, end);
  for (let step = 0; step < 2; step++) chained.step();
  assertEquals(control.outputCount(0), 1 + CHAINED, "one, and a chain, behind which more is sent");
  // Three pieces of a prompt: between them, too, the answer has a token a step.
  const long = Array.from({ length: 150 }, (_, i) => 40 + i);
  chained.begin({ ...GREEDY, ids: long, maxTokens: 20 }, 1, end);
  for (let step = 0; step < 6; step++) chained.step();
  assertLess(control.outputCount(0), 1 + CHAINED + 7);
  while (chained.hasWork) chained.step();
  assertEquals(ends, ["done", "done"]);
  const found = [0, 1].map((
    slot,
  ) => [...control.outputIds(slot).subarray(0, control.outputCount(slot))]);
  const alone = [{ ...GREEDY, maxTokens: 40 }, { ...GREEDY, ids: long, maxTokens: 20 }];
  assertEquals(found, alone.map((request) => answer(runner, single, request).ids));
}

/** Tokens of two letters each, of which no two have a text in common. */
function vocabularyOf(vocabSize: number): VocabularyBytes {
  const letters = (id: number) => String.fromCharCode(65 + (id >> 4), 97 + (id & 15));
  const text = Array.from({ length: vocabSize }, (_, id) => letters(id)).join("");
  const offsets = Uint32Array.from({ length: vocabSize + 1 }, (_, id) => 2 * id);
  return { vocabSize, bytes: new TextEncoder().encode(text), offsets, endIds: [] };
}

/** A grammar that holds from some text on lets chains be until then, and changes no id. */
function checkLeads(runner: RankRunner): void {
  const { single, chained } = leadersOf(runner);
  warm(runner, [chained]);
  const vocabulary = vocabularyOf(SHAPE.vocabSize);
  const textOf = (id: number) =>
    new TextDecoder().decode(vocabulary.bytes.subarray(2 * id, 2 * id + 2));
  for (const sampling of [{ temperature: 0 }, { seed: 4 }]) {
    const { ids } = answer(runner, single, { ...GREEDY, maxTokens: 60, sampling });
    const at = ids.findIndex((id, index) => index > 20 && ids.indexOf(id) === index);
    assert(at > 0, "something that was not there before");
    // Behind it three tokens that would not come, then text that is free.
    const grammar = compileGrammar({
      kind: "parts",
      parts: {
        leads: [{ lead: [textOf(ids[at])], then: textOf(7).repeat(3) }],
        behind: { leads: [{ lead: ["no such text"], then: "!" }] },
      },
    });
    const request = { ...GREEDY, maxTokens: 60, sampling, grammar: { grammar, vocabulary } };
    const one = answer(runner, single, request);
    assertEquals(one.ids.slice(0, at + 4), [...ids.slice(0, at + 1), 7, 7, 7]);
    const several = answer(runner, chained, request);
    assertEquals([several.ids, several.ids.length], [one.ids, 60]);
    // Chains before the lead and behind what follows it; three tokens by themselves, and edges.
    assertLess(several.waits, 16);
    // Nothing free: a wait a token.
    const bound = compileGrammar({ kind: "gbnf", text: "root ::= [A-Za-z]{1,400}" });
    const strict = { ...request, maxTokens: 20, grammar: { grammar: bound, vocabulary } };
    assertEquals(answer(runner, chained, strict).waits, 20);
    // What has to end in time is free until then, and so is what follows.
    const ending = compileGrammar({
      kind: "parts",
      parts: { all: [{ until: textOf(7) }, { leads: [] }] },
    });
    const prelude = { grammar: { grammar: ending, vocabulary }, tokensMax: 25, endTokens: 1 };
    const thought = { ...GREEDY, maxTokens: 60, sampling, prelude };
    const expected = answer(runner, single, thought).ids;
    assertEquals(expected.slice(0, 26), [...ids.slice(0, 25), 7]);
    const ended = answer(runner, chained, thought);
    assertEquals(ended.ids, expected);
    assertLess(ended.waits, 20);
  }
}

/** Begins an answer, and runs a chain of it. */
function beginChain(runner: RankRunner, leader: Leader): string[] {
  const ends: string[] = [];
  runner.control.openSlot(0);
  leader.begin(GREEDY, 0, {
    done: ({ finishReason }) => ends.push(finishReason),
    failed: (error) => ends.push(`${error}`),
  });
  for (let step = 0; step < 2; step++) leader.step();
  assertEquals(runner.control.outputCount(0), 1 + CHAINED);
  // The GPU goes on: what it lacks are the steps of this chain's other tokens, and of the next
  // one's first, and the block of keys that the chain grows into.
  let writes = 0;
  let isSent = false;
  onWrite = () => writes += isSent ? 0 : 1;
  onSubmit = () => isSent = true;
  leader.step();
  onWrite = onSubmit = () => {};
  assertEquals(runner.control.outputCount(0), 1 + 2 * CHAINED);
  assert(writes === 2 || writes === 3, `${writes} writes: the slot may have had this block before`);
  return ends;
}

/** A request that is cancelled while a chain is computed ends behind it. */
function checkCancel(runner: RankRunner): void {
  const { single, chained } = leadersOf(runner);
  warm(runner, [chained]);
  const { ids } = answer(runner, single, { ...GREEDY, maxTokens: 30 });
  const ends = beginChain(runner, chained);
  let sent = 0;
  onSubmit = () => {
    if (++sent === 3) runner.control.cancel(0);
  };
  for (let step = 0; step < 2; step++) chained.step();
  onSubmit = () => {};
  assertEquals(ends, ["cancelled"]);
  assertEquals(answer(runner, chained, { ...GREEDY, maxTokens: 30 }).ids, ids);
}

/** A device that is lost in the middle of a chain fails the request; this one comes last. */
function checkLoss(runner: RankRunner): void {
  const { chained } = leadersOf(runner);
  warm(runner, [chained]);
  const ends = beginChain(runner, chained);
  let sent = 0;
  onSubmit = () => {
    if (++sent === 5) device!.destroy();
  };
  chained.step();
  onSubmit = () => {};
  assertEquals([ends.length, runner.control.outputCount(0)], [1, 1 + 2 * CHAINED]);
  assertMatch(ends[0], /GPU/);
}
