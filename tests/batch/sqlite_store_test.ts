/** SQLite's store against the contract, and what is its own: a folder on disk. */
import { assertEquals, assertGreater, assertRejects, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { RequestError } from "../../src/base/errors.ts";
import { type BatchStore, deadLetter, newId } from "../../src/batch/batch_store.ts";
import { openSqliteStore } from "../../src/batch/sqlite/sqlite_store.ts";
import { newSqliteWorld } from "./sqlite_world.ts";
import { testStore } from "./store_contract.ts";
import {
  answer,
  batchRecord,
  fileHead,
  line,
  lines,
  pieces,
  takeSoon,
  text,
} from "./store_world.ts";

testStore({ name: "openSqliteStore()", newWorld: newSqliteWorld });

Deno.test("openSqliteStore() makes a folder that is nobody else's business", async () => {
  await using world = disposable(await newSqliteWorld());
  const folder = join(world.folder, "deep", "batches");
  await openSqliteStore(folder).close();
  assertEquals(Deno.statSync(folder).mode! & 0o077, 0);
});

Deno.test("openSqliteStore() refuses a folder of another version, and leaves it as it is", async () => {
  await using world = disposable(await newSqliteWorld());
  await openSqliteStore(world.folder).close();
  const path = join(world.folder, "batches.sqlite");
  const db = new DatabaseSync(path);
  db.exec("PRAGMA user_version = 99");
  db.close();
  assertThrows(() => openSqliteStore(world.folder), Error, "another version");
  Deno.writeTextFileSync(join(world.folder, "batches.sqlite"), "this is no database ".repeat(99));
  assertThrows(() => openSqliteStore(world.folder), Error, "not a database");
});

Deno.test("openSqliteStore() removes what a process left half written, a day later", async () => {
  await using world = disposable(await newSqliteWorld());
  const store = openSqliteStore(world.folder);
  await store.files.put(fileHead(newId("file-")), pieces(text("kept"), 1));
  await store.close();
  const [old, young] = ["old.jsonl", "young.jsonl"].map((n) => join(world.folder, "files", n));
  for (const path of [old, young]) Deno.writeTextFileSync(path, "half");
  const yesterday = new Date(Date.now() - 25 * 3600_000);
  for (const { name } of Deno.readDirSync(join(world.folder, "files"))) {
    if (name !== "young.jsonl") {
      Deno.utimeSync(join(world.folder, "files", name), yesterday, yesterday);
    }
  }
  await openSqliteStore(world.folder).close();
  const left = [...Deno.readDirSync(join(world.folder, "files"))].map(({ name }) => name);
  assertEquals(left.length, 2);
  assertEquals(left.includes("young.jsonl"), true);
});

Deno.test("openSqliteStore() refuses files of clients beyond a bound, not what batches leave", async () => {
  await using world = disposable(await newSqliteWorld());
  const store = openSqliteStore(world.folder, { bytesMax: 10 });
  const put = (purpose: "batch" | "batch_output", bytes: number) =>
    store.files.put({ ...fileHead(newId("file-")), purpose }, pieces(text("x"), bytes));
  const { id } = await put("batch", 10);
  const refusal = await assertRejects(() => put("batch", 1), RequestError);
  assertEquals([refusal.status, refusal.code], [507, "files_full"]);
  assertEquals((await put("batch_output", 50)).bytes, 50);
  const { items: [output] } = await store.files.list({ owner: "me", limit: 1 });
  await store.files.delete(output.id);
  await store.files.delete(id);
  assertEquals((await put("batch", 10)).bytes, 10);
  await store.close();
  const names = [...Deno.readDirSync(join(world.folder, "files"))];
  assertEquals(names.length, 1);
});

Deno.test("openSqliteStore() waits for a process that stands still, and stands not still itself", async () => {
  await using world = disposable(await newSqliteWorld());
  const store = openSqliteStore(world.folder, { patienceMs: 400 });
  const id = newId("batch_");
  await store.jobs.enqueue(id, lines(1));
  const stopped = new DatabaseSync(join(world.folder, "batches.sqlite"));
  stopped.exec("BEGIN IMMEDIATE");
  let ticks = 0;
  const ticking = setInterval(() => ticks++, 10);
  // Those that are one statement, and those that are a transaction.
  for (
    const change of [
      () => store.batches.create(batchRecord()),
      () => store.jobs.enqueue(id, lines(2)),
      () => store.jobs.finishAll(id, deadLetter(1)),
      () => store.files.put(fileHead(newId("file-")), pieces(text("x"), 1)),
    ]
  ) {
    const refusal = await assertRejects(change, RequestError);
    assertEquals([refusal.status, refusal.code], [503, "batch_store_unavailable"]);
  }
  clearInterval(ticking);
  assertGreater(ticks, 4 * 10);
  // Reading goes on, and who waits for a job gets it when the other one goes on.
  assertEquals(await store.jobs.progress(id), { completed: 0, failed: 0 });
  const coming = store.jobs.take(new AbortController().signal);
  setTimeout(() => stopped.close(), 1000);
  assertEquals((await coming)?.batchId, id);
  await store.close();
});

Deno.test("openSqliteStore() keeps no job of a batch that is closed", async () => {
  await using world = disposable(await newSqliteWorld());
  const store = openSqliteStore(world.folder);
  const [{ record, version }, other] = [
    await store.batches.create(batchRecord({ id: newId("batch_", 1) })),
    newId("batch_", 2),
  ];
  for (const id of [record.id, other]) await store.jobs.enqueue(id, lines(1));
  const closed = { ...record, isOpen: false };
  // Nobody's change takes anything away.
  assertEquals(await store.batches.replace(closed, version + 1), null);
  const job = await takeSoon(store);
  assertEquals(job.batchId, record.id);
  await store.batches.replace(closed, version);
  assertEquals(await job.finish(answer(0, 200)), false);
  assertEquals(await Array.fromAsync(store.jobs.results(record.id)), []);
  assertEquals((await takeSoon(store)).batchId, other);
  await store.close();
});

Deno.test("openSqliteStore() lets go of the lock between a few long jobs", async () => {
  await using world = disposable(await newSqliteWorld());
  const store = openSqliteStore(world.folder);
  const id = newId("batch_");
  const long = { ...line(0), body: "x".repeat(2 ** 19) };
  const seen: number[] = [];
  async function* jobs() {
    for (let index = 0; index < 5; index++) {
      yield { ...long, index };
      const other = new DatabaseSync(join(world.folder, "batches.sqlite"));
      seen.push(Number(other.prepare("SELECT count(*) AS n FROM jobs").get()!.n));
      other.close();
    }
    await Promise.resolve();
  }
  await store.jobs.enqueue(id, jobs());
  assertEquals(seen, [0, 2, 2, 4, 4]);
  await store.close();
});

Deno.test("openSqliteStore(): files that come at once are bounded together, here and elsewhere", async () => {
  await using world = disposable(await newSqliteWorld());
  const [one, two] = [1, 2].map(() => openSqliteStore(world.folder, { bytesMax: 10 }));
  const [begun, started] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  async function* slowly(byteCount: number) {
    if (byteCount === 7) begun.resolve();
    yield* pieces(text("x"), byteCount);
    await started.promise;
  }
  const put = ({ files }: BatchStore, byteCount: number) =>
    files.put(fileHead(newId("file-")), slowly(byteCount)).then(() => 200, ({ status }) => status);
  const here = [put(one, 6), put(one, 6)];
  // What is too much is refused while it comes.
  assertEquals(await Promise.race(here), 507);
  const there = put(two, 7);
  await begun.promise;
  started.resolve();
  const statuses = await Promise.all([...here, there]);
  assertEquals(statuses.filter((status) => status === 200).length, 1);
  assertEquals(await put(one, 3), 200);
  assertEquals([...Deno.readDirSync(join(world.folder, "files"))].length, 2);
  await one.close();
  await two.close();
});

function disposable<T extends { close(): Promise<void> }>(world: T): T & AsyncDisposable {
  return { ...world, [Symbol.asyncDispose]: () => world.close() };
}
