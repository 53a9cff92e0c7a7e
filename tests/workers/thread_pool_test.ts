/** The pool that tests have their threads from: a thread is the same script's again and again. */
import "../support/thread_pool.ts";
import { assertEquals, assertMatch } from "@std/assert";
import { withModel, withTinyFile } from "../support/loaded_model.ts";

const leaderScript = new URL("../support/faulty_engine_worker.ts", import.meta.url).href;

/** Answers by what its global scope counts: only the first time that it is run. */
const HEARS_ONCE = `data:application/javascript,${
  encodeURIComponent(`
    if (self.hasRun === undefined) self.onmessage = ({ data }) => self.postMessage({ kind: data });
    self.hasRun = true; //`)
}`;

/** What a thread says to "bye": its last word, or how it died. */
async function lastWord(worker: Worker): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  worker.onmessage = ({ data }) => resolve(data.kind);
  worker.onerror = (event) => {
    event.preventDefault();
    resolve(event.message);
  };
  worker.postMessage("bye");
  return await promise;
}

Deno.test("a script around an engine's own is a pooled thread's more than once", async () => {
  await withTinyFile({}, async (path) => {
    for (let turn = 0; turn < 3; turn++) {
      await withModel(path, { threads: 2, leaderScript }, async (model) => {
        const { ids } = await model.generate({ ids: [5], maxTokens: 3, ignoreEnd: true }).result;
        assertEquals(ids.length, 3);
      });
    }
  });
});

Deno.test("a pooled thread whose script hears nothing dies, and says why", async () => {
  assertEquals(await lastWord(new Worker(HEARS_ONCE, { type: "module" })), "bye");
  const second = await lastWord(new Worker(HEARS_ONCE, { type: "module" }));
  assertMatch(second, /hears nothing in turn 2: what it imports is not run again/);
});
