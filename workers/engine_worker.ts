/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * Entry of the engine's thread: rank 0, the leader. Between requests it waits for messages; during
 * one it is busy from the first id to the last and hears only the cancel word.
 */
import { check } from "../src/base/check.ts";
import { Leader } from "../src/engine/leader.ts";
import { RankRunner } from "../src/rank/open_rank.ts";
import { answerCalls, leave, reply } from "./answer.ts";

let runner: RankRunner | null = null;
let leader: Leader | null = null;

answerCalls("engine", {
  async load(setup) {
    const tell = (bytes: number) => reply({ kind: "progress", bytes });
    const isOnGpu = setup.plans[setup.rankIndex].gpu !== null;
    runner = isOnGpu ? await RankRunner.openOnGpu(setup, tell) : RankRunner.open(setup, tell);
    leader = new Leader(runner);
    return {};
  },
  generate: (request) => led((leader) => leader.generate(request)),
  logits: ({ ids, stepTokens }) =>
    led((leader) => {
      const isComplete = leader.scoreAll(ids, (rows, firstPosition) => {
        reply({ kind: "rows", rows, firstPosition }, [rows.buffer]);
      }, stepTokens);
      return { isComplete };
    }),
  score: ({ ids, from }) => led((leader) => ({ nll: leader.negativeLogLikelihood(ids, from) })),
  embed: ({ ids, pooling }) => led((leader) => ({ vector: leader.embed(ids, pooling) })),
  observe: ({ ids, position }) => led((leader) => ({ isComplete: leader.observe(ids, position) })),
  rehearse: ({ ids, policy }) => led((leader) => ({ choices: leader.rehearse(ids, policy) })),
  readSpeed: () => led((leader) => ({ gbps: leader.readSpeedGbps() })),
  close() {
    runner?.control.publishExit();
    runner?.close();
    leave();
    return {};
  },
});

function led<R>(work: (leader: Leader) => R): R {
  check(leader !== null, "the engine is loaded first");
  return work(leader);
}
