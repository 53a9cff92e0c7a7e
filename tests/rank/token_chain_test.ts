/** Chains of tokens: how their commands go to the GPU. */
import { assertEquals } from "@std/assert";
import { Leader } from "../../src/engine/leader.ts";
import type { EngineRequest } from "../../src/engine/types.ts";
import type { RankRunner } from "../../src/rank/open_rank.ts";
import { answerNow } from "../support/answer_now.ts";
import { chainTest, openChainRunner } from "../support/chain_runner.ts";
import { withTinyFile } from "../support/loaded_model.ts";

/** Of single tokens, and the first one of a chain, eight and one go to the GPU. */
const LAYERS = 9;
/** Of a token: seven a layer, the first norm, that before the output, the output, the choice. */
const DISPATCHES = 7 * LAYERS + 5;
const SHAPE = { seed: 3, contextLength: 224, blockCount: LAYERS, type: "Q4_0" } as const;

const GREEDY: EngineRequest = {
  ...{ ids: [5, 6, 7], maxTokens: 60, sampling: { temperature: 0 }, endIds: [] },
};

/** What the process encodes, and what it sends. */
const counts = { submissions: 0, commands: 0, passes: 0, dispatches: 0, copies: 0 };
const { submit } = GPUQueue.prototype;
GPUQueue.prototype.submit = function (commands) {
  counts.submissions++;
  counts.commands += [...commands].length;
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

function answer(runner: RankRunner, leader: Leader): number[] {
  const { control } = runner;
  control.openSlot(0);
  answerNow(leader, GREEDY);
  return [...control.outputIds(0).subarray(0, control.outputCount(0))];
}

/** What a chain of 16 tokens takes, where programs and leader know how long they take. */
async function countChain() {
  const found = { ...counts };
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
    assertEquals(runner.control.outputCount(0), 1 + 16 + 16);
    while (leader.hasWork) leader.step();
  });
  return found;
}

chainTest("a chain's token behind the first is one pass in one submission", async () => {
  assertEquals(await countChain(), {
    // The first token's layers and its output were encoded ahead, and are once more. Others have
    // what makes them the step, and their row of embeddings besides.
    ...{ submissions: 3 + 15, commands: 3 + 15, passes: 3 + 15 },
    dispatches: 16 * DISPATCHES + 15 * 2,
    // The step's number, and all tokens' choices.
    copies: 2,
  });
});

chainTest("a chain's token that takes long goes to the GPU in slices", async () => {
  const { submissions, copies } = await countChain();
  // Layers, and the output.
  assertEquals({ submissions, copies }, { submissions: 16 * (LAYERS + 1), copies: 2 });
}, 20);
