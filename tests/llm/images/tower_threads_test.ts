import { assert, assertEquals, assertRejects } from "@std/assert";
import { TowerThreads } from "../../../src/llm/images/tower_threads.ts";
import type { EngineHandle } from "../../../workers/mod.ts";

/** An engine that knows whether it was closed, and can be made to have failed. */
function fakeEngine() {
  const engine = {
    failure: null as Error | null,
    isClosed: false,
    close(): Promise<void> {
      engine.isClosed = true;
      return Promise.resolve();
    },
  };
  return engine;
}

const asHandle = (engine: ReturnType<typeof fakeEngine>) => engine as unknown as EngineHandle;

Deno.test("TowerThreads starts once, again after a failure, and after a start that failed", async () => {
  const engines = [fakeEngine(), fakeEngine()];
  let starts = 0;
  const threads = new TowerThreads(() => {
    starts++;
    if (starts === 1) return Promise.reject(new Error("no threads"));
    return Promise.resolve(asHandle(engines[starts - 2]));
  });
  await assertRejects(() => threads.ready(), Error, "no threads");
  assert(await threads.ready() === asHandle(engines[0]));
  assert(await threads.ready() === asHandle(engines[0]));
  engines[0].failure = new Error("lost");
  assert(await threads.ready() === asHandle(engines[1]));
  assertEquals([starts, engines[0].isClosed, engines[1].isClosed], [3, true, false]);
  await threads.close();
  assertEquals([threads.isClosed, engines[1].isClosed], [true, true]);
});

Deno.test("TowerThreads closed while it starts leaves no engine", async () => {
  const engine = fakeEngine();
  const started = Promise.withResolvers<EngineHandle>();
  const threads = new TowerThreads(() => started.promise);
  const ready = threads.ready();
  const closed = threads.close();
  started.resolve(asHandle(engine));
  await Promise.all([ready, closed]);
  assert(engine.isClosed);
});
