/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * Entry of a follower's thread: ranks 1 and up. Once its weights are loaded it lives in shared
 * memory, step after step, and hears no message until the leader sends it home.
 */
import { RankRunner } from "../src/rank/open_rank.ts";
import { answerCalls, leave, reply } from "./answer.ts";
import { follow } from "./follow.ts";

answerCalls("compute", {
  load(setup) {
    const tell = (bytes: number) => reply({ kind: "progress", bytes });
    const runner = RankRunner.open(setup, tell);
    const draft = setup.draft && RankRunner.openDraft(runner, setup.draft, tell);
    // After the answer to this call has gone out.
    setTimeout(() => follow(runner, draft), 0);
    return {};
  },
  close() {
    leave();
    return {};
  },
});
