/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** The life of a thread that follows the leader: compute_worker.ts, gpu_worker.ts. */
import type { RankRunner } from "../src/rank/open_rank.ts";
import { errorData, leave, reply } from "./answer.ts";

/** Runs steps until the leader sends the thread home, and ends it. draft: of a second model. */
export function follow(runner: RankRunner, draft?: RankRunner): void {
  const { rankIndex } = runner.setup;
  try {
    runner.followSteps(draft);
  } catch (error) {
    runner.control.fail(rankIndex);
    // The rank that failed first says why; the others only follow.
    if (runner.control.failedRank() === rankIndex) {
      reply({ kind: "failure", error: errorData(error, `rank ${rankIndex}`) });
    }
  }
  runner.close();
  leave();
}
