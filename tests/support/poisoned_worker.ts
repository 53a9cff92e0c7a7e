/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** Entry of a follower's thread in tests of intermediates: poisoned_rank.ts. */
import { RankRunner } from "../../src/rank/open_rank.ts";
import { type FollowerStart, poison } from "./poisoned_rank.ts";

self.onmessage = ({ data }: MessageEvent<FollowerStart>) => {
  const runner = RankRunner.open(data.setup, () => {});
  const draft = data.draft && RankRunner.openDraft(runner, data.draft, () => {});
  for (const each of [runner, ...draft ? [draft] : []]) if (data.poisons) poison(each);
  self.postMessage("ready");
  // After the message has gone out.
  setTimeout(() => {
    runner.followSteps(draft);
    self.postMessage({ kind: "bye" }); // to thread_pool.ts
    self.close();
  }, 0);
};
