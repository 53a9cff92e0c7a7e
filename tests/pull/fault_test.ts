import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { RequestFault, withRetries } from "../../src/pull/fault.ts";

Deno.test("withRetries() ends within a pause when its signal is aborted", async () => {
  const stop = new AbortController();
  let tries = 0;
  const work = () => {
    tries++;
    return Promise.reject(new RequestFault("the line went dead", { isPassing: true }));
  };
  const options = {
    ...{ retries: 3, retryMs: 20_000, signal: stop.signal },
    onRetry: () => queueMicrotask(() => stop.abort(new Error("enough"))),
  };
  const startMs = performance.now();
  await assertRejects(() => withRetries(work, options), Error, "enough");
  assertEquals(tries, 1);
  assertLess(performance.now() - startMs, 10_000, "the pause of 15 s or more was cut short");
});
