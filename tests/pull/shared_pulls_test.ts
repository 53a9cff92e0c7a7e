import { assertEquals, assertRejects } from "@std/assert";
import { type PulledModel, SharedPulls, type Watcher } from "../../src/pull/mod.ts";

const MODEL = { id: "tiny" } as PulledModel;

/** Pulls that end when they are told to. */
function heldPulls() {
  const begun: { watcher: Watcher; end: () => void }[] = [];
  const pulls = new SharedPulls((_reference, watcher) =>
    new Promise((resolve, reject) => {
      watcher.signal.addEventListener("abort", () => reject(watcher.signal.reason));
      begun.push({ watcher, end: () => resolve(MODEL) });
    })
  );
  return { pulls, begun };
}

function watcher() {
  const gone = new AbortController();
  const seen: number[] = [];
  const onProgress = ({ doneBytes }: { doneBytes: number }) => void seen.push(doneBytes);
  return { gone, seen, watcher: { signal: gone.signal, onProgress } };
}

Deno.test("SharedPulls.join() brings a model once for all who ask, and tells all of them", async () => {
  const { pulls, begun } = heldPulls();
  const [one, two] = [watcher(), watcher()];
  const both = [pulls.join("a", one.watcher), pulls.join("a", two.watcher)];
  begun[0].watcher.onProgress({ phase: "pulling", doneBytes: 7, totalBytes: 9 });
  begun[0].end();
  assertEquals(await Promise.all(both), [MODEL, MODEL]);
  assertEquals([one.seen, two.seen, begun.length, pulls.count], [[7], [7], 1, 0]);
});

Deno.test("SharedPulls.join() goes on until the last one has gone, and begins again for the next", async () => {
  const { pulls, begun } = heldPulls();
  const [one, two, three] = [watcher(), watcher(), watcher()];
  const first = pulls.join("a", one.watcher);
  const second = pulls.join("a", two.watcher);
  one.gone.abort(new Error("one has gone"));
  await assertRejects(() => first, Error, "one has gone");
  assertEquals(begun[0].watcher.signal.aborted, false);
  two.gone.abort(new Error("two has gone"));
  const third = pulls.join("a", three.watcher);
  await assertRejects(() => second, Error, "two has gone");
  assertEquals(begun[0].watcher.signal.aborted, true);
  while (begun.length < 2) await new Promise((resolve) => setTimeout(resolve, 0));
  begun[1].end();
  assertEquals(await third, MODEL);
});
