/**
 * What every `BatchStore` must do, as tests over a factory: SQLite's and NATS' pass the very same.
 * Times are short leases; nothing here depends on being quick, only on not being stopped for
 * seconds.
 */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { pause } from "../../src/base/pause.ts";
import { deadLetter, newId, type TakenJob } from "../../src/batch/batch_store.ts";
import {
  answer,
  batchRecord,
  breakingOff,
  collect,
  fileHead,
  line,
  lines,
  listed,
  pieces,
  range,
  type StoreFactory,
  type StoreWorld,
  takeOrNot,
  takeSoon,
  text,
  using,
} from "./store_world.ts";

/** Where jobs are to be lost. Elsewhere leases are as long as they are by default. */
const LEASE_MS = 400;
const SHORT = { leaseMs: LEASE_MS };

/** Declares the tests. */
export function testStore(factory: StoreFactory): void {
  const test = (what: string, run: (world: StoreWorld) => Promise<void>) =>
    Deno.test({
      name: `${factory.name} ${what}`,
      ignore: factory.ignore ?? false,
      async fn() {
        const world = await factory.newWorld();
        try {
          await run(world);
        } finally {
          await world.close();
        }
      },
    });
  testFiles(test);
  testBatches(test);
  testJobs(test);
  testOrder(test);
  testLateOnes(test);
  testLostJobs(test);
  testClosedStores(test);
}

type Declare = (what: string, run: (world: StoreWorld) => Promise<void>) => void;

function testFiles(test: Declare): void {
  test("files: what was put is read again, byte for byte, by another process", async (world) => {
    const bytes = crypto.getRandomValues(new Uint8Array(65536));
    const id = newId("file-");
    const put = await using(world, ({ files }) => files.put(fileHead(id), pieces(bytes, 3 * 40)));
    assertEquals(put, { ...fileHead(id), bytes: bytes.length * 120 });
    await using(world, async ({ files }) => {
      assertEquals(await files.get(id), put);
      const read = await collect((await files.read(id))!);
      assertEquals(read.length, put.bytes);
      assertEquals(read.subarray(-65536), bytes);
    });
  });

  test("files: one that breaks off is not there, nor one of no bytes lost", (world) =>
    using(world, async ({ files }) => {
      const [broken, empty] = [newId("file-"), newId("file-")];
      await assertRejects(() => files.put(fileHead(broken), breakingOff()), Error, "gone");
      assertEquals(await files.get(broken), null);
      assertEquals(await files.read(broken), null);
      assertEquals(await files.delete(broken), false);
      assertEquals((await files.put(fileHead(empty), pieces(new Uint8Array(), 0))).bytes, 0);
      assertEquals((await collect((await files.read(empty))!)).length, 0);
    }));

  test("files: a second one of the same id leaves the first as it is", (world) =>
    using(world, async ({ files }) => {
      const id = newId("file-");
      const first = await files.put(fileHead(id), pieces(text("first"), 1));
      const both = await Promise.all(
        ["second", "third"].map((each) => files.put(fileHead(id), pieces(text(each), 1))),
      );
      assertEquals(both, [first, first]);
      assertEquals(await collect((await files.read(id))!), text("first"));
    }));

  test("files: lists are each owner's, in pages, both ways, without what is deleted", (world) =>
    using(world, async ({ files }) => {
      const ids = [1, 2, 3, 4, 5].map((ms) => newId("file-", ms));
      for (const id of ids) await files.put(fileHead(id), pieces(text(id), 1));
      await files.put({ ...fileHead(newId("file-")), owner: "other" }, pieces(text("x"), 1));
      const output = { ...fileHead(newId("file-", 6)), purpose: "batch_output" as const };
      await files.put(output, pieces(text("y"), 1));
      const list = async (rest: { after?: string; order?: "asc" | "desc"; purpose?: string }) => {
        const page = await files.list({ owner: "me", limit: 2, purpose: "batch", ...rest });
        return [page.items.map(({ id }) => id), page.hasMore];
      };
      assertEquals(await list({}), [[ids[4], ids[3]], true]);
      assertEquals(await list({ after: ids[3] }), [[ids[2], ids[1]], true]);
      assertEquals(await list({ after: ids[1] }), [[ids[0]], false]);
      assertEquals(await list({ order: "asc", after: ids[2] }), [[ids[3], ids[4]], false]);
      assertEquals(await list({ purpose: "batch_output" }), [[output.id], false]);
      assertEquals((await files.list({ owner: "me", limit: 10 })).items.length, 6);
      assertEquals(await files.delete(ids[4]), true);
      assertEquals(await files.delete(ids[4]), false);
      assertEquals(await files.read(ids[4]), null);
      assertEquals(await list({}), [[ids[3], ids[2]], true]);
    }));
}

function testBatches(test: Declare): void {
  test("batches: of those who replace one version, one succeeds", async (world) => {
    const first = batchRecord();
    const { version } = await using(world, ({ batches }) => batches.create(first));
    await using(world, async (one) =>
      await using(world, async (two) => {
        await assertRejects(() => two.batches.create(first));
        const changed = { ...first, status: "in_progress" as const, total: 7 };
        const replies = await Promise.all(
          [one, two, one, two].map(({ batches }) => batches.replace(changed, version)),
        );
        const good = replies.filter((reply) => reply !== null);
        assertEquals(good.length, 1);
        assertNotEquals(good[0].version, version);
        assertEquals(await two.batches.get(first.id), good[0]);
        assertEquals(good[0].record, changed);
        assertEquals(await one.batches.replace(batchRecord(), 1), null);
        assertEquals(await one.batches.get("batch_none"), null);
      }));
  });

  test("batches: lists are each owner's, in pages; open ones are all, oldest first", (world) =>
    using(world, async ({ batches }) => {
      const records = [1, 2, 3].map((ms) => batchRecord({ id: newId("batch_", ms) }));
      const other = batchRecord({ id: newId("batch_", 4), owner: "other" });
      const closed = batchRecord({ id: newId("batch_", 5), isOpen: false });
      for (const each of [...records, other, closed]) await batches.create(each);
      const page = await batches.list({ owner: "me", limit: 2 });
      assertEquals(page, { items: [closed, records[2]], hasMore: true });
      const rest = await batches.list({ owner: "me", limit: 2, after: records[2].id });
      assertEquals(rest, { items: [records[1], records[0]], hasMore: false });
      const open = (await batches.listOpen()).map(({ record }) => record);
      assertEquals(open, [...records, other]);
      assertEquals([await batches.countOpen("me"), await batches.countOpen("other")], [3, 1]);
    }));
}

function testJobs(test: Declare): void {
  test("jobs: each is taken once, whole; results are in the file's order", async (world) => {
    const id = newId("batch_");
    await using(world, ({ jobs }) => jobs.enqueue(id, lines(40)));
    await using(world, async (one) =>
      await using(world, async (two) => {
        const taken: TakenJob[] = [];
        for (let n = 0; n < 40; n++) taken.push(await takeSoon(n % 2 === 0 ? one : two));
        assertEquals(taken.map(({ index }) => index).toSorted((a, b) => a - b), range(40));
        const job = taken.find(({ index }) => index === 7)!;
        const { batchId, customId, endpoint, body, attempt } = job;
        assertEquals({ batchId, index: 7, customId, endpoint, body }, { batchId: id, ...line(7) });
        assertEquals(attempt, 1);
        assertEquals(await takeOrNot(one), null);
        for (const each of taken.toReversed()) {
          const isFailed = each.index % 10 === 3;
          assertEquals(await each.finish(answer(each.index, isFailed ? 400 : 200)), true);
        }
        assertEquals(await two.jobs.progress(id), { completed: 36, failed: 4 });
        const results = await Array.fromAsync(one.jobs.results(id));
        assertEquals(results.map(({ index }) => index), range(40));
        assertEquals(results[7], { index: 7, customId: "line-7", result: answer(7, 200) });
        assertEquals(await takeOrNot(two), null);
      }));
  });

  test("jobs: long bodies and answers pass", (world) =>
    using(world, async ({ jobs }) => {
      const id = newId("batch_");
      const long = { ...line(0), body: JSON.stringify({ text: "ä\0".repeat(1_500_000) }) };
      await jobs.enqueue(id, listed([long]));
      const job = await takeSoon({ jobs });
      assertEquals(job.body === long.body, true);
      const result = answer("ö\u2028".repeat(1_000_000), 200);
      assertEquals(await job.finish(result), true);
      const [first] = await Array.fromAsync(jobs.results(id));
      assertEquals(JSON.stringify(first.result) === JSON.stringify(result), true);
    }));

  test("jobs: put into the queue again they are what they were, with results or not", (world) =>
    using(world, async ({ jobs }) => {
      const id = newId("batch_");
      await jobs.enqueue(id, lines(3));
      const first = await takeSoon({ jobs });
      await first.finish(answer("once", 200));
      const second = await takeSoon({ jobs });
      await jobs.enqueue(id, lines(5));
      assertEquals(await second.beat(), true);
      const rest = [await takeSoon({ jobs }), await takeSoon({ jobs }), await takeSoon({ jobs })];
      assertEquals(await takeOrNot({ jobs }), null);
      for (const job of [second, ...rest]) assertEquals(await job.finish(answer(1, 200)), true);
      assertEquals((await jobs.progress(id)).completed, 5);
      const all = await Array.fromAsync(jobs.results(id));
      assertEquals(all[first.index].result, answer("once", 200));
    }));
}

function testOrder(test: Declare): void {
  test("jobs: of an older batch go first", (world) =>
    using(world, async ({ jobs }) => {
      const ids = [newId("batch_", 1), newId("batch_", 2)];
      for (const id of ids) await jobs.enqueue(id, lines(2));
      const taken = [];
      for (let n = 0; n < 4; n++) taken.push((await takeSoon({ jobs })).batchId);
      assertEquals(taken, [ids[0], ids[0], ids[1], ids[1]]);
    }));

  test("jobs: who waits gets one as soon as another process has put it there", (world) =>
    using(world, (one) =>
      using(world, async (two) => {
        const coming = takeSoon(one);
        await pause(150);
        const id = newId("batch_");
        await two.jobs.enqueue(id, lines(1));
        assertEquals((await coming).batchId, id);
        const stop = new AbortController();
        const none = one.jobs.take(stop.signal);
        await pause(50);
        stop.abort();
        assertEquals(await none, null);
        assertEquals(await one.jobs.take(stop.signal), null);
      })));

  test("jobs: all that have no result get one, and who works on them learns it", (world) =>
    using(world, async ({ jobs }) => {
      const id = newId("batch_");
      await jobs.enqueue(id, lines(6));
      const [done, running] = [await takeSoon({ jobs }), await takeSoon({ jobs })];
      await done.finish(answer("done", 200));
      const cancelled = { response: null, error: { code: "batch_cancelled", message: "was" } };
      await jobs.finishAll(id, cancelled);
      assertEquals(await jobs.progress(id), { completed: 1, failed: 5 });
      assertEquals(await running.beat(), false);
      assertEquals(await running.finish(answer("late", 200)), false);
      assertEquals(await takeOrNot({ jobs }), null);
      const results = await Array.fromAsync(jobs.results(id));
      assertEquals(
        results.map(({ index, result }) => index === done.index || result.error !== null),
        Array(6).fill(true),
      );
    }));

  test("jobs: what is dropped is gone, and nothing else", (world) =>
    using(world, async ({ jobs }) => {
      const [id, other] = [newId("batch_", 1), newId("batch_", 2)];
      for (const each of [id, other]) await jobs.enqueue(each, lines(3));
      await (await takeSoon({ jobs })).finish(answer(0, 200));
      const running = await takeSoon({ jobs });
      await jobs.drop(id);
      assertEquals(await running.beat(), false);
      assertEquals(await jobs.progress(id), { completed: 0, failed: 0 });
      assertEquals(await Array.fromAsync(jobs.results(id)), []);
      for (let n = 0; n < 3; n++) assertEquals((await takeSoon({ jobs })).batchId, other);
      assertEquals(await takeOrNot({ jobs }), null);
    }));
}

function testLateOnes(test: Declare): void {
  test("jobs: a late answer of a batch that is gone becomes nobody's", (world) =>
    using(world, async ({ jobs }) => {
      const [gone, next] = [newId("batch_"), newId("batch_")];
      await jobs.enqueue(gone, lines(1));
      const late = await takeSoon({ jobs });
      await jobs.finishAll(gone, deadLetter(1));
      await jobs.drop(gone);
      await jobs.enqueue(next, lines(1));
      assertEquals(await late.beat(), false);
      await late.finish(answer("of another key", 200));
      assertEquals(await jobs.progress(next), { completed: 0, failed: 0 });
      assertEquals(await Array.fromAsync(jobs.results(next)), []);
      const job = await takeSoon({ jobs });
      assertEquals([job.batchId, job.attempt], [next, 1]);
      await late.giveBack({ isAttempt: false });
      assertEquals(await takeOrNot({ jobs }), null);
      assertEquals(await job.beat(), true);
    }));

  test("jobs: those of a batch that was closed meanwhile are nobody's", (world) =>
    using(world, async ({ batches, jobs }) => {
      const { record, version } = await batches.create(batchRecord());
      await jobs.enqueue(
        record.id,
        (async function* () {
          yield line(0);
          await batches.replace({ ...record, isOpen: false }, version);
          yield line(1);
        })(),
      );
      assertEquals(await takeOrNot({ jobs }), null);
    }));

  test("jobs: who has lost a job cannot give it to others", (world) =>
    using(world, (one) =>
      using(world, async (two) => {
        await one.jobs.enqueue(newId("batch_"), lines(1));
        const lost = await takeSoon(one);
        const held = await takeSoon(two);
        const beats = setInterval(() => held.beat(), LEASE_MS / 5);
        try {
          await lost.giveBack({ isAttempt: false });
          assertEquals(await takeOrNot(one, 2 * LEASE_MS), null);
          assertEquals(await held.beat(), true);
        } finally {
          clearInterval(beats);
        }
        assertEquals(await held.finish(answer(1, 200)), true);
      }, SHORT), SHORT));
}

function testLostJobs(test: Declare): void {
  test("jobs: given back they are taken again, not before their time", (world) =>
    using(world, async ({ jobs }) => {
      await jobs.enqueue(newId("batch_"), lines(1));
      for (let n = 0; n < 5; n++) {
        const job = await takeSoon({ jobs });
        assertEquals(job.attempt, 1);
        await job.giveBack({ isAttempt: false });
      }
      const startMs = performance.now();
      await (await takeSoon({ jobs })).giveBack({ isAttempt: true, delayMs: 600 });
      const job = await takeSoon({ jobs });
      assert(performance.now() - startMs >= 550, "too early");
      assertEquals(job.attempt, 2);
    }));

  test("jobs: a silent one goes to another process, a beating one stays", async (world) => {
    const id = newId("batch_");
    await using(world, ({ jobs }) => jobs.enqueue(id, lines(2)));
    await using(world, (one) =>
      using(world, async (two) => {
        const beating = await takeSoon(one);
        const silent = await takeSoon(one);
        const beats = setInterval(() => beating.beat(), LEASE_MS / 5);
        try {
          const again = await takeSoon(two);
          assertEquals([again.index, again.attempt], [silent.index, 2]);
          assertEquals(await silent.beat(), false);
          // Whoever is first writes: the answer is the same.
          assertEquals(await silent.finish(answer("first", 200)), true);
          assertEquals(await again.finish(answer("second", 200)), false);
          await pause(2 * LEASE_MS);
          assertEquals(await takeOrNot(two), null);
          assertEquals(await beating.finish(answer(0, 200)), true);
        } finally {
          clearInterval(beats);
        }
        const results = await Array.fromAsync(two.jobs.results(id));
        assertEquals(results[silent.index].result, answer("first", 200));
        assertEquals(await two.jobs.progress(id), { completed: 2, failed: 0 });
      }, SHORT), SHORT);
  });

  test("jobs: one that is lost each time gets a dead letter, and holds up nobody", (world) =>
    using(world, async ({ jobs }) => {
      const id = newId("batch_");
      await jobs.enqueue(id, lines(1));
      assertEquals((await takeSoon({ jobs })).attempt, 1);
      const second = await takeSoon({ jobs });
      assertEquals(second.attempt, 2);
      await second.giveBack({ isAttempt: true });
      assertEquals(await takeOrNot({ jobs }, 4 * LEASE_MS), null);
      const [{ result }] = await Array.fromAsync(jobs.results(id));
      assertEquals(result, deadLetter(2));
      assertEquals(await jobs.progress(id), { completed: 0, failed: 1 });
    }, { ...SHORT, attemptsMax: 2 }));
}

function testClosedStores(test: Declare): void {
  test("jobs: taken by a store that is closed, they go to others", async (world) => {
    await using(world, async ({ jobs }) => {
      await jobs.enqueue(newId("batch_"), lines(3));
      await takeSoon({ jobs });
    }, SHORT);
    await using(world, async ({ jobs }) => {
      const taken = [];
      for (let n = 0; n < 3; n++) {
        const job = await takeSoon({ jobs });
        taken.push(job.index);
        // Held any longer it would be lost itself: a lost one comes when its lease has ended, or
        // later.
        assertEquals(await job.finish(answer(n, 200)), true);
      }
      assertEquals(taken.toSorted(), [0, 1, 2]);
    }, SHORT);
  });
}
