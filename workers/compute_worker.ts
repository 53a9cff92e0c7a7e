/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * Entry of a follower's thread: ranks 1 and up. Once its weights are loaded it lives in shared
 * memory, step after step, and hears no message until the leader sends it home.
 */
import { RankRunner } from "../src/rank/open_rank.ts";
import { answerCalls, leave, LoadProgress } from "./answer.ts";
import { follow } from "./follow.ts";

answerCalls("compute", {
  load(setup) {
    const progress = new LoadProgress();
    const runner = RankRunner.open(setup, progress.add);
    const draft = setup.draft && RankRunner.openDraft(runner, setup.draft, progress.add);
    progress.tell();
    // After the answer to this call has gone out.
    setTimeout(() => follow(runner, draft), 0);
    return {};
  },
  close() {
    leave();
    return {};
  },
});
