import { assert, assertEquals, assertRejects } from "@std/assert";
import { WorkerError } from "../../src/base/errors.ts";
import { pause } from "../../src/base/pause.ts";
import { loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import { Watchdog } from "../../workers/watchdog.ts";
import { withTinyFile } from "../support/loaded_model.ts";

function watch(stuckMs: number) {
  const state = { busy: false, progress: 0, stuck: 0 };
  const watchdog = new Watchdog({
    stuckMs,
    isBusy: () => state.busy,
    progress: () => state.progress,
    onStuck: () => state.stuck++,
  });
  watchdog.start();
  return { state, watchdog };
}

Deno.test("Watchdog barks once at who is busy and gets nowhere", async () => {
  const { state, watchdog } = watch(40);
  await pause(80);
  assertEquals(state.stuck, 0, "idle");
  state.busy = true;
  for (let i = 0; i < 10; i++) {
    state.progress++;
    await pause(8);
  }
  assertEquals(state.stuck, 0, "it gets on");
  await pause(150);
  assertEquals(state.stuck, 1);
  watchdog.stop();
});

Deno.test("Watchdog does not take a suspended process for one that hangs", async () => {
  const { state, watchdog } = watch(100);
  state.busy = true;
  await pause(20);
  const startMs = performance.now();
  while (performance.now() - startMs < 200); // as if the whole process had slept
  state.progress++;
  await pause(20);
  assertEquals(state.stuck, 0);
  watchdog.stop();
});

const leaderScript = new URL("../support/faulty_engine_worker.ts", import.meta.url).href;

/** What becomes of a request whose prompt ends with `id`, and of the model. */
async function afterFault(id: number, options: LoadOptions = {}) {
  let outcome: { error: unknown; ms: number; failure: Error | null } | undefined;
  await withTinyFile({}, async (path) => {
    const model = await loadModel(path, { threads: 2, leaderScript, stuckMs: 200, ...options });
    try {
      const good = await model.generate({ ids: [5], maxTokens: 3, ignoreEnd: true }).result;
      assertEquals(good.ids.length, 3);
      const startMs = performance.now();
      const error = await model.generate({ ids: [5, id], maxTokens: 3 }).result.catch((e) => e);
      outcome = { error, ms: performance.now() - startMs, failure: model.failure };
      await assertRejects(
        async () => {
          await model.generate({ ids: [5] }).result;
        },
        Error,
        "The engine has failed",
      );
    } finally {
      await model.close();
    }
  });
  return outcome!;
}

// fault 57: threads that hang, trap or die.
Deno.test("an engine that hangs in a kernel is given up: its request fails, and says why", async () => {
  const { error, ms, failure } = await afterFault(101);
  assert(error instanceof WorkerError, `${error}`);
  assertEquals(error.message, "The engine got nowhere for 0.2 s: it is given up");
  assertEquals(failure, error);
  assert(ms > 150 && ms < 1_400, `${ms} ms`);
  await pause(1_500); // the thread is still at it, and then leaves
});

Deno.test("an engine whose kernel traps fails its request at once", async () => {
  const { error, ms } = await afterFault(102, { stuckMs: 60_000 });
  assert(error instanceof WorkerError && /unreachable/.test(error.message), `${error}`);
  assert(ms < 1_000, `${ms} ms`);
});

Deno.test("an engine whose thread dies fails its request at once", async () => {
  const { error, ms } = await afterFault(103, { stuckMs: 60_000 });
  assert(error instanceof WorkerError && /died/.test(error.message), `${error}`);
  assert(ms < 1_000, `${ms} ms`);
});
