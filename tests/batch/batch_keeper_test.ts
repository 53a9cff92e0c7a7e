/** Batches from status to status, by keepers that die between any two steps. */
import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { pause } from "../../src/base/pause.ts";
import { BatchKeeper } from "../../src/batch/batch_keeper.ts";
import {
  type BatchRecord,
  type BatchStore,
  type JobResult,
  newId,
  type TakenJob,
} from "../../src/batch/batch_store.ts";
import { withSqliteStore } from "./sqlite_world.ts";
import { answer, batchRecord, collect, fileHead, pieces, text } from "./store_world.ts";

const ENDPOINT = "/v1/chat/completions";
const OPTIONS = { lineBytesMax: 10_000, intervalMs: 5, claimMs: 100 };
const LATER = 4_000_000_000;

/** A batch of so many lines, in a store; returns its id. */
async function submit(
  { files, batches }: BatchStore,
  lines: readonly string[],
  changes: Partial<BatchRecord> = {},
): Promise<string> {
  const file = await files.put(fileHead(newId("file-")), pieces(text(lines.join("\n")), 1));
  const record = batchRecord({ inputFileId: file.id, expiresAt: LATER, ...changes });
  await batches.create(record);
  return record.id;
}

function good(count: number): string[] {
  return Array.from(
    { length: count },
    (_, index) =>
      JSON.stringify({ custom_id: `${index}`, method: "POST", url: ENDPOINT, body: { index } }),
  );
}

/** Runs a keeper until the batch is closed, and finishes all jobs meanwhile. */
async function keepUntilClosed(
  store: BatchStore,
  id: string,
  finish: (job: TakenJob) => JobResult | null = ({ index }) => answer(index, statusOf(index)),
): Promise<BatchRecord> {
  const keeper = new BatchKeeper({ store, ...OPTIONS, onError: (error) => console.error(error) });
  try {
    return await closed(store, id, finish);
  } finally {
    await keeper.stop();
  }
}

async function closed(
  store: BatchStore,
  id: string,
  finish: (job: TakenJob) => JobResult | null,
): Promise<BatchRecord> {
  for (const endMs = Date.now() + 20_000; Date.now() < endMs;) {
    const { record } = (await store.batches.get(id))!;
    if (!record.isOpen) return record;
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 5);
    const job = await store.jobs.take(stop.signal);
    const result = job && finish(job);
    if (result) await job.finish(result);
  }
  throw new Error("The batch was never closed");
}

/** Every third one fails. */
function statusOf(index: number): number {
  return index % 3 === 2 ? 400 : 200;
}

async function linesOf({ files }: BatchStore, id: string | null) {
  assert(id !== null);
  const words = new TextDecoder().decode(await collect((await files.read(id))!));
  assertEquals(words.at(-1), "\n");
  return words.slice(0, -1).split("\n").map((line) => JSON.parse(line));
}

Deno.test("BatchKeeper takes a batch to its end: answers here, errors there, in order", () =>
  withSqliteStore(async (store) => {
    const id = await submit(store, good(10));
    const batch = await keepUntilClosed(store, id);
    assertEquals(batch.status, "completed");
    assertEquals(Object.keys(batch.times), ["in_progress", "finalizing", "completed"]);
    assertEquals([batch.total, batch.progress], [10, { completed: 7, failed: 3 }]);
    const output = await linesOf(store, batch.outputFileId);
    assertEquals(output.map((line) => line.custom_id), ["0", "1", "3", "4", "6", "7", "9"]);
    assertEquals(output[0], {
      id: `batch_req_${id.slice(6)}_0`,
      custom_id: "0",
      response: { status_code: 200, request_id: "req_200", body: 0 },
      error: null,
    });
    const errors = await linesOf(store, batch.errorFileId);
    assertEquals(errors.map(({ custom_id }) => custom_id), ["2", "5", "8"]);
    assertEquals(await Array.fromAsync(store.jobs.results(id)), []);
    const { purpose, owner, filename } = (await store.files.get(batch.outputFileId!))!;
    assertEquals([purpose, owner, filename], ["batch_output", "me", `${id}_output.jsonl`]);
  }));

Deno.test("BatchKeeper makes no file where nothing belongs into it", () =>
  withSqliteStore(async (store) => {
    const all = await keepUntilClosed(store, await submit(store, good(2)));
    assertEquals([all.outputFileId === null, all.errorFileId], [false, null]);
    const id = await submit(store, good(2));
    const none = await keepUntilClosed(store, id, ({ index }) => answer(index, 400));
    assertEquals([none.outputFileId, none.errorFileId === null], [null, false]);
  }));

Deno.test("BatchKeeper fails a batch whose file is not as it must be, and runs nothing of it", () =>
  withSqliteStore(async (store) => {
    const lines = [...good(3), "{", good(1)[0]];
    let jobs = 0;
    const count = () => (jobs++, null);
    const batch = await keepUntilClosed(store, await submit(store, lines), count);
    assertEquals([batch.status, batch.total, jobs], ["failed", 0, 0]);
    const errors = batch.errors.map(({ code, line }) => [code, line]);
    assertEquals(errors, [["invalid_json_line", 4], ["duplicate_custom_id", 5]]);
    const gone = await submit(store, [], { inputFileId: "file-gone" });
    const [fault] = (await keepUntilClosed(store, gone)).errors;
    assertEquals([fault.code, fault.line], ["invalid_input_file", null]);
  }));

Deno.test("BatchKeeper gives what is not answered in time an error, and what is its answer", () =>
  withSqliteStore(async (store) => {
    const expiresAt = Math.floor(Date.now() / 1000) + 2;
    const id = await submit(store, good(4), { expiresAt });
    const batch = await keepUntilClosed(
      store,
      id,
      ({ index }) => index === 1 ? answer("in time", 200) : null,
    );
    assertEquals([batch.status, batch.progress], ["expired", { completed: 1, failed: 3 }]);
    assertEquals((await linesOf(store, batch.outputFileId))[0].response.body, "in time");
    const errors = await linesOf(store, batch.errorFileId);
    assertEquals(errors.map(({ error }) => error.code), Array(3).fill("batch_expired"));
    assertEquals(errors.map(({ response }) => response), [null, null, null]);
  }));

Deno.test("BatchKeeper ends a cancelled batch with what there is", () =>
  withSqliteStore(async (store) => {
    const id = await submit(store, good(4));
    const finish = ({ index }: TakenJob) => {
      if (index > 0) return null;
      setTimeout(() => cancel(store, id));
      return answer("done", 200);
    };
    const batch = await keepUntilClosed(store, id, finish);
    assertEquals([batch.status, batch.progress], ["cancelled", { completed: 1, failed: 3 }]);
    const errors = await linesOf(store, batch.errorFileId);
    assertEquals(errors.map(({ error }) => error.code), Array(3).fill("batch_cancelled"));
  }));

Deno.test("BatchKeeper may die before any step, and leaves what another one needs", async () => {
  let steps = 0;
  for (let wasKilled = true; wasKilled; steps++) {
    await withSqliteStore(async (store) => {
      const id = await submit(store, good(5));
      const mortal = dyingAfter(steps, store);
      const first = new BatchKeeper({ store: mortal.store, ...OPTIONS, onError: () => {} });
      const finish = ({ index }: TakenJob) => answer(index, statusOf(index));
      const ended = closed(store, id, finish);
      await Promise.race([mortal.dead, ended]);
      wasKilled = mortal.isDead();
      // It has not said that it goes: what it has is free in claimMs.
      const second = new BatchKeeper({ store, ...OPTIONS, onError: () => {} });
      const batch = await ended;
      await Promise.all([first.stop(), second.stop()]);
      assertEquals([batch.status, batch.progress], ["completed", { completed: 4, failed: 1 }]);
      const output = await linesOf(store, batch.outputFileId);
      assertEquals(output.map(({ response }) => response.body), [0, 1, 3, 4]);
      assertEquals((await linesOf(store, batch.errorFileId)).length, 1);
      const { items } = await store.files.list({ owner: "me", limit: 100 });
      assertEquals(items.length, 3);
    });
  }
  assert(steps > 15, `only ${steps} steps`);
});

Deno.test("BatchKeeper: four of them at once write each result once", () =>
  withSqliteStore(async (store) => {
    const id = await submit(store, good(300));
    const options = { store, ...OPTIONS, onError: (error: unknown) => console.error(error) };
    const keepers = Array.from({ length: 4 }, () => new BatchKeeper(options));
    const batch = await closed(store, id, ({ index }) => answer(index, 200));
    await Promise.all(keepers.map((keeper) => keeper.stop()));
    const output = await linesOf(store, batch.outputFileId);
    assertEquals(output.map(({ response }) => response.body), Array.from(Array(300).keys()));
    assertEquals((await store.files.list({ owner: "me", limit: 100 })).items.length, 2);
  }));

Deno.test("BatchKeeper closes no batch that a result of is not shown", () =>
  withSqliteStore(async (store) => {
    const id = await submit(store, good(5));
    let isHidden = true;
    const jobs = overridden(store.jobs, {
      async *results(batchId) {
        for await (const each of store.jobs.results(batchId)) {
          if (each.index !== 2 || !isHidden) yield each;
        }
      },
    });
    const said = Promise.withResolvers<unknown>();
    const options = { ...OPTIONS, onError: said.resolve };
    const finish = ({ index }: TakenJob) => answer(index, 200);
    await withKeeper({ store: { ...store, jobs }, ...options }, async () => {
      const ended = closed(store, id, finish).then(() => "it was closed", String);
      assertStringIncludes(`${await Promise.race([said.promise, ended])}`, "4 of its 5 results");
      assertEquals((await store.batches.get(id))!.record.status, "finalizing");
      assertEquals((await store.files.list({ owner: "me", limit: 9 })).items.length, 1);
      isHidden = false;
      // Tried again in a while.
      assertEquals(await ended, "it was closed");
      const { outputFileId } = (await store.batches.get(id))!.record;
      assertEquals((await linesOf(store, outputFileId)).length, 5);
    });
  }));

Deno.test("BatchKeeper gives each line its result, though it is cancelled while it is queued", () =>
  withSqliteStore(async (store) => {
    for (const isFileGone of [false, true]) {
      const id = await submit(store, good(8));
      let half = true;
      const jobs = overridden(store.jobs, {
        // Half of it is there when the client cancels.
        async enqueue(batchId, lines) {
          if (!half) return await store.jobs.enqueue(batchId, lines);
          half = false;
          await store.jobs.enqueue(batchId, firstOf(lines, 4));
          await cancel(store, id);
          const { inputFileId } = (await store.batches.get(id))!.record;
          if (isFileGone) await store.files.delete(inputFileId);
        },
      });
      const batch = await keepUntilClosed({ ...store, jobs }, id, () => null);
      const total = isFileGone ? 4 : 8;
      assertEquals([batch.status, batch.total], ["cancelled", total]);
      assertEquals(batch.progress, { completed: 0, failed: total });
      assertEquals((await linesOf(store, batch.errorFileId)).length, total);
    }
  }));

Deno.test("BatchKeeper hears within a second that a batch is cancelled which it checks", () =>
  withSqliteStore(async (store) => {
    const id = await submit(store, good(1));
    let isRead = false;
    const files = overridden(store.files, {
      read: () =>
        Promise.resolve((async function* () {
          isRead = true;
          for (;;) {
            await pause(10);
            yield text(" ");
          }
        })()),
    });
    const options = { ...OPTIONS, claimMs: 30_000, onError: () => {} };
    const keeper = new BatchKeeper({ store: { ...store, files }, ...options });
    while (!isRead) await pause(5);
    await cancel(store, id);
    const startMs = performance.now();
    const batch = await closed(store, id, () => null);
    assertLess(performance.now() - startMs, 5000);
    assertEquals([batch.status, batch.total], ["cancelled", 0]);
    await keeper.stop();
  }));

Deno.test("BatchKeeper keeps its claim while a step lasts, and lets go of it when it stops", () =>
  withSqliteStore(async (store) => {
    const id = await submit(store, good(1));
    const began = Promise.withResolvers<void>();
    const goesOn = Promise.withResolvers<void>();
    const jobs = overridden(store.jobs, {
      async enqueue(_, lines) {
        began.resolve();
        await goesOn.promise;
        // Here a keeper that stops lets go.
        for await (const _ of lines);
      },
    });
    const options = { ...OPTIONS, onError: (error: unknown) => console.error(error) };
    const first = new BatchKeeper({ store: { ...store, jobs }, ...options });
    await began.promise;
    const keeperOf = async () => (await store.batches.get(id))!.record.keeper;
    const { id: keeperId, untilMs } = (await keeperOf())!;
    const second = new BatchKeeper({ store, ...options });
    await pause(4 * OPTIONS.claimMs);
    await second.stop();
    const later = (await keeperOf())!;
    assertEquals(later.id, keeperId);
    assert(later.untilMs > untilMs + OPTIONS.claimMs, "it was not renewed");
    const stopped = first.stop();
    goesOn.resolve();
    await stopped;
    assertEquals(await keeperOf(), null);
    assertEquals((await store.batches.get(id))!.record.status, "validating");
  }));

/** A keeper for the time of `use`: one that goes on would keep a failed test from its end. */
async function withKeeper(
  options: ConstructorParameters<typeof BatchKeeper>[0],
  use: (keeper: BatchKeeper) => Promise<void>,
): Promise<void> {
  const keeper = new BatchKeeper(options);
  try {
    await use(keeper);
  } finally {
    await keeper.stop();
  }
}

/** The same, but for some of its methods. */
function overridden<T extends object>(part: T, methods: Partial<T>): T {
  const get = (target: T, name: string | symbol) => {
    const own = methods[name as keyof T];
    const method = own ?? target[name as keyof T];
    return typeof method === "function" && own === undefined ? method.bind(target) : method;
  };
  return new Proxy(part, { get });
}

async function* firstOf<T>(items: AsyncIterable<T>, count: number): AsyncGenerator<T> {
  for await (const item of items) {
    if (count-- === 0) return;
    yield item;
  }
}

/** As the API does it. */
async function cancel(store: BatchStore, id: string): Promise<void> {
  for (let isCancelled = false; !isCancelled; await pause(5)) {
    const { record, version } = (await store.batches.get(id))!;
    const times = { ...record.times, cancelling: 1 };
    const changed = { ...record, status: "cancelling" as const, times, keeper: null };
    isCancelled = await store.batches.replace(changed, version) !== null;
  }
}

/** A store whose user is dead after so many calls: none returns after that. */
function dyingAfter(calls: number, store: BatchStore) {
  const death = Promise.withResolvers<void>();
  let left = calls;
  let isDead = false;
  const mortal = <T extends object>(part: T): T =>
    new Proxy(part, {
      get: (target, name) => (...values: unknown[]) => {
        // Looking for open batches is no step.
        if (name !== "listOpen" && !isDead && left-- === 0) {
          isDead = true;
          death.resolve();
        }
        if (isDead) throw new Error("killed");
        // deno-lint-ignore no-explicit-any
        return (target as any)[name](...values);
      },
    });
  return {
    store: {
      ...store,
      ...{ files: mortal(store.files), batches: mortal(store.batches), jobs: mortal(store.jobs) },
    },
    dead: death.promise,
    isDead: () => isDead,
  };
}
