/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * Entry of the thread of a GPU that works beside other ranks: it blocks while the GPU computes, and
 * a device cannot be posted. Else it lives as a follower does: compute_worker.ts.
 */
import { RankRunner } from "../src/rank/open_rank.ts";
import { answerCalls, leave, reply } from "./answer.ts";
import { follow } from "./follow.ts";

answerCalls("gpu", {
  async load(setup) {
    const runner = await RankRunner.openOnGpu(
      setup,
      (bytes) => reply({ kind: "progress", bytes }),
    );
    // After the answer to this call has gone out.
    setTimeout(() => follow(runner), 0);
    return {};
  },
  close() {
    leave();
    return {};
  },
});
