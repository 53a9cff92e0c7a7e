/** Chains of tokens: how their commands go to the GPU. */
import { assertEquals } from "@std/assert";
import { Leader } from "../../src/engine/leader.ts";
import type { EngineRequest } from "../../src/engine/types.ts";
import type { RankRunner } from "../../src/rank/open_rank.ts";
import { answerNow } from "../support/answer_now.ts";
import { chainTest, openChainRunner } from "../support/chain_runner.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { pipelinesAsDispatched } from "../support/stand_ins.ts";

/** Of single tokens, and the first one of a chain, eight and one go to the GPU. */
const LAYERS = 9;
/** Of a token: its step and its row, seven a layer, the output, the choice. */
const DISPATCHES = 7 * LAYERS + 4;
const SHAPE = { seed: 3, contextLength: 224, blockCount: LAYERS, type: "Q4_0" } as const;

pipelinesAsDispatched();

const GREEDY: EngineRequest = {
  ...{ ids: [5, 6, 7], maxTokens: 60, sampling: { temperature: 0 }, endIds: [] },
};

/** What the process encodes, and what it sends. */
const counts = { submissions: 0, commands: 0, passes: 0, dispatches: 0, copies: 0 };
const { submit } = GPUQueue.prototype;
GPUQueue.prototype.submit = function (commands) {
  counts.submissions++;
  counts.commands += [...commands].length;
  events += "s";
  return submit.call(this, commands);
};
const { beginComputePass, copyBufferToBuffer } = GPUCommandEncoder.prototype;
GPUCommandEncoder.prototype.beginComputePass = function (...args) {
  counts.passes++;
  return beginComputePass.apply(this, args);
};
GPUCommandEncoder.prototype.copyBufferToBuffer = function (...args: unknown[]) {
  counts.copies++;
  return Reflect.apply(copyBufferToBuffer, this, args);
};
const { dispatchWorkgroups } = GPUComputePassEncoder.prototype;
GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...args) {
  counts.dispatches++;
  return dispatchWorkgroups.apply(this, args);
};

/** Waits, looks at what came, and submissions: "w", "l" and "s" in their order. */
let events = "";
const { mapAsync, getMappedRange } = GPUBuffer.prototype;
GPUBuffer.prototype.mapAsync = function (...args) {
  events += "w";
  return mapAsync.apply(this, args);
};
GPUBuffer.prototype.getMappedRange = function (...args) {
  events += "l";
  return getMappedRange.apply(this, args);
};

function answer(runner: RankRunner, leader: Leader): number[] {
  const { control } = runner;
  control.openSlot(0);
  answerNow(leader, GREEDY);
  return [...control.outputIds(0).subarray(0, control.outputCount(0))];
}

/**
 * What the second chain of an answer takes, where programs and leader know how long they take.
 * @param tokens of each.
 * @returns with it of each wait of another answer how often something was sent before anybody
 *   looked at what had come.
 */
async function countChain(tokens: number) {
  const found = { ...counts };
  const sent: number[] = [];
  await withTinyFile(SHAPE, async (path) => {
    const runner = await openChainRunner(path);
    const leader = new Leader(runner, { waitMs: Infinity });
    const ids = answer(runner, new Leader(runner, { waitMs: 0 }));
    for (let i = 0; i < 2; i++) assertEquals(answer(runner, leader), ids);
    runner.control.openSlot(0);
    leader.begin(GREEDY, 0, { done: () => {}, failed: () => {} });
    for (let step = 0; step < 2; step++) leader.step();
    for (const name of Object.keys(counts)) Object.assign(counts, { [name]: 0 });
    leader.step();
    Object.assign(found, counts);
    assertEquals(runner.control.outputCount(0), 1 + tokens + tokens);
    while (leader.hasWork) leader.step();
    events = "";
    answer(runner, leader);
    for (const [, between] of events.matchAll(/w(s*)l/g)) sent.push(between.length);
  });
  return { ...found, sent };
}

chainTest(
  "a chain's token is one pass, and two go ahead of whoever looks at those before",
  async () => {
    assertEquals(await countChain(14), {
      // Two were sent ahead, and so are two of the next chain.
      ...{ submissions: 14, commands: 14, passes: 14 },
      dispatches: 14 * DISPATCHES,
      // The step's number, and all tokens' choices.
      copies: 2,
      // The prompt's wait, four chains of 14, and three tokens behind which nothing comes.
      sent: [0, 2, 2, 2, 2, 0],
    });
  },
);

chainTest("a chain's token that takes long goes to the GPU in slices", async () => {
  const { submissions, copies, sent } = await countChain(15);
  assertEquals(sent.filter((count) => count > 0), [], "nothing is ahead");
  // Layers, and the output.
  assertEquals({ submissions, copies }, { submissions: 15 * (LAYERS + 1), copies: 2 });
}, { sliceMs: 20 });

chainTest(
  "what was sent ahead counts for nothing where another step comes first",
  () =>
    withTinyFile({ ...SHAPE, blockCount: 1 }, async (path) => {
      const runner = await openChainRunner(path);
      const leader = new Leader(runner, { waitMs: Infinity });
      answer(runner, leader);
      const end = { done: () => {}, failed: () => {} };
      runner.control.openSlot(0);
      leader.begin(GREEDY, 0, end);
      while (runner.chain!.sentCount === 0) leader.step();
      runner.control.openSlot(1);
      leader.begin({ ...GREEDY, ids: [9, 8] }, 1, end);
      leader.step();
      assertEquals(runner.chain!.sentCount, 0, "the other one's prompt");
    }),
);
