/** What the store in NATS does when the server goes away, and what it leaves behind. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { RequestError } from "../../../src/base/errors.ts";
import { pause } from "../../../src/base/pause.ts";
import { type BatchStore, newId, type TakenJob } from "../../../src/batch/batch_store.ts";
import { Chunks } from "../../../src/batch/nats/chunks.ts";
import { type Nats, NatsLink } from "../../../src/batch/nats/link.ts";
import { openNatsStore, parseQueueAddress } from "../../../src/batch/nats/mod.ts";
import {
  CHUNKS,
  DEAD,
  JOBS,
  RESULTS,
  STATE,
  subject,
  token,
  WORKERS,
} from "../../../src/batch/nats/streams.ts";
import { sweepChunks } from "../../../src/batch/nats/sweep.ts";
import { assertSoon } from "../../support/assert_soon.ts";
import { type NatsServer, natsTest } from "../../support/nats_server.ts";
import {
  answer,
  batchRecord,
  collect,
  fileHead,
  line,
  lines,
  listed,
  pieces,
  range,
  takeOrNot,
  takeSoon,
  text,
} from "../store_world.ts";

natsTest(
  "NATS killed and started again: what was told stays, who waits goes on",
  async (server) => {
    const notices: string[] = [];
    await withStore(server, async (store) => {
      const [id, fileId] = [newId("batch_"), newId("file-")];
      const bytes = crypto.getRandomValues(new Uint8Array(60_000));
      await store.files.put(fileHead(fileId), pieces(bytes, 5));
      const { version } = await store.batches.create(batchRecord({ id }));
      await store.jobs.enqueue(id, lines(20));
      const held = [await takeSoon(store), await takeSoon(store), await takeSoon(store)];
      await held[0].finish(answer(0, 200));
      await server.kill();
      await untilAway(store);
      await assertAway(() => held[1].finish(answer(1, 200)));
      await assertAway(() => store.batches.listOpen());
      await assertAway(() => store.batches.countOpen("me"));
      const coming = takeSoon(store);
      await server.start();
      assertEquals((await coming).attempt, 1);
      assertEquals(await store.files.get(fileId), { ...fileHead(fileId), bytes: 300_000 });
      assertEquals((await collect((await store.files.read(fileId))!)).subarray(240_000), bytes);
      assertEquals((await store.batches.get(id))!.version, version);
      // They were worked on meanwhile, and are delivered now.
      assertEquals(await held[1].finish(answer(1, 200)), true);
      assertEquals(await held[2].finish(answer(2, 200)), true);
      assertEquals(await store.jobs.progress(id), { completed: 3, failed: 0 });
    }, { onNotice: (text) => notices.push(text) });
    assertEquals(notices.length >= 2, true, notices.join("; "));
    assert(notices[0].includes("out of reach: the connection is gone"), notices[0]);
    assertEquals(notices.at(-1), "The queue is in reach again");
    assertEquals(notices.some((each) => each.includes("secret")), false);
  },
);

natsTest(
  "NATS killed again and again: each job has one result, however often it comes",
  async (server) => {
    const id = newId("batch_");
    const stop = new AbortController();
    const firsts: number[] = [];
    const work = async (store: BatchStore) => {
      for (let job; (job = await store.jobs.take(stop.signal)) !== null;) {
        await pause(5);
        const { index } = job;
        if (await finishAtLast(job)) firsts.push(index);
      }
    };
    const options = { leaseMs: 1000, attemptsMax: 100 };
    await withStore(server, (one) =>
      withStore(server, async (two) => {
        await one.jobs.enqueue(id, lines(200));
        const working = Promise.all([one, one, two, two].map(work));
        for (let n = 0; n < 2; n++) {
          await pause(150);
          await server.kill();
          await server.start();
        }
        // The one may be in reach again before the other.
        for (const store of [one, two]) {
          while ((await countAtLast(store, id)) < 200) await pause(50);
        }
        stop.abort();
        await working;
        assertEquals(firsts.toSorted((a, b) => a - b), range(200));
        const results = await Array.fromAsync(two.jobs.results(id));
        assertEquals(results.map(({ index }) => index), range(200));
        assertEquals(results.map(({ customId }) => customId), range(200).map((n) => `line-${n}`));
      }, options), options);
  },
);

natsTest("NATS opened while there is no server, which comes later", async (server) => {
  await server.kill();
  await withStore(server, async (store) => {
    await assertAway(() => store.files.get("file-1"));
    await server.start();
    const coming = takeSoon(store);
    await untilThere(store);
    await store.jobs.enqueue(newId("batch_"), lines(1));
    assertEquals((await coming).index, 0);
  });
});

natsTest(
  "NATS leaves nothing of what was deleted and dropped, long texts included",
  async (server) => {
    await withStore(server, async (store) => {
      const [id, fileId] = [newId("batch_"), newId("file-")];
      await store.files.put(fileHead(fileId), pieces(new Uint8Array(100_000), 9));
      await store.files.put(fileHead(fileId), pieces(new Uint8Array(100_000), 9));
      const created = await store.batches.create(batchRecord({ id }));
      const long = JSON.stringify({ text: "x".repeat(600_000) });
      await store.jobs.enqueue(id, listed([0, 1].map((n) => ({ ...line(n), body: long }))));
      const job = await takeSoon(store);
      assertEquals(await job.finish(answer(long, 200)), true);
      // The same again is not kept twice, and somebody else's neither.
      assertEquals(await job.finish(answer(long, 200)), true);
      await (await takeSoon(store)).giveBack({ isAttempt: false });
      await takeSoon(store);
      await assertSoon(() => counts(server), [4, 7 + 5 * 3, 1, 1, 0]);
      await store.jobs.drop(id);
      await store.files.delete(fileId);
      await store.batches.replace({ ...created.record, isOpen: false }, created.version);
      assertEquals(await counts(server), [1, 0, 0, 0, 0]);
    });
  },
);

natsTest("NATS: chunks that nothing names go after a day, others stay", async (server) => {
  await withStore(server, async (store) => {
    const [id, done, fileId] = [newId("batch_"), newId("batch_"), newId("file-")];
    await store.files.put(fileHead(fileId), pieces(new Uint8Array(100_000), 2));
    await store.batches.create(batchRecord({ id }));
    await store.batches.create(batchRecord({ id: done, isOpen: false }));
    const long = JSON.stringify({ text: "x".repeat(600_000) });
    await store.jobs.enqueue(id, listed([{ ...line(0), body: long }]));
    const address = parseQueueAddress(server.url);
    const link = new NatsLink({ address, setUp: () => Promise.resolve() });
    try {
      await link.tried;
      const chunks = new Chunks(link);
      for (const group of [fileId, newId("file-"), done]) {
        await chunks.put(token(group), pieces(new Uint8Array(200_000), 1));
      }
      assertEquals(await sweepChunks(link), 0);
      assertEquals((await counts(server))[1], 2 + 5 + 3 * 2);
      assertEquals(await sweepChunks(link, Date.now() + 25 * 3600 * 1000), 3);
      assertEquals((await counts(server))[1], 2 + 5);
    } finally {
      await link.close();
    }
    assertEquals((await collect((await store.files.read(fileId))!)).length, 200_000);
    assertEquals((await takeSoon(store)).body, long);
  });
});

natsTest("NATS: a job that comes again after its result goes without work", async (server) => {
  await withStore(server, async (store) => {
    const id = newId("batch_");
    await store.jobs.enqueue(id, lines(2));
    // As if whoever wrote it had died before the acknowledgement.
    await withLink(
      server,
      ({ streams }) =>
        streams.publish(
          subject("results", token(id), 0),
          JSON.stringify({
            ...{ customId: "line-0", result: answer(0, 200) },
          }),
        ),
    );
    assertEquals((await takeSoon(store)).index, 1);
    await assertSoon(() => queuedJobs(server), 1);
  });
});

natsTest(
  "NATS: what comes for somebody who has left goes to others, as if untouched",
  async (server) => {
    await withStore(server, (one) =>
      withStore(server, async (two) => {
        assertEquals(await takeOrNot(one, 50), null);
        await two.jobs.enqueue(newId("batch_"), lines(1));
        const startMs = performance.now();
        assertEquals((await takeSoon(two)).attempt, 1);
        assert(performance.now() - startMs < 2000, "it waited for the lease's end");
      }));
  },
);

natsTest(
  "NATS: a job that is queued is not queued again, however long ago it was",
  async (server) => {
    await withStore(server, async (store) => {
      const windowMs = 100;
      await withLink(
        server,
        ({ manager }) => manager.streams.update(JOBS, { duplicate_window: windowMs * 1e6 }),
      );
      const id = newId("batch_");
      await store.jobs.enqueue(id, lines(2));
      const held = await takeSoon(store);
      await pause(2 * windowMs);
      await store.jobs.enqueue(id, lines(2));
      assertEquals((await takeSoon(store)).index, 1);
      assertEquals(await takeOrNot(store), null);
      assertEquals(await held.finish(answer(0, 200)), true);
      await assertSoon(() => queuedJobs(server), 1);
    });
  },
);

natsTest("NATS: who counted results of a batch that others drop forgets them", async (server) => {
  await withStore(server, (one) =>
    withStore(server, async (two) => {
      const id = newId("batch_");
      await one.jobs.enqueue(id, lines(3));
      for (const status of [200, 200, 400]) await (await takeSoon(two)).finish(answer(0, status));
      assertEquals(await one.jobs.progress(id), { completed: 2, failed: 1 });
      await two.jobs.drop(id);
      assertEquals(await one.jobs.progress(id), { completed: 0, failed: 0 });
    }));
});

natsTest(
  "NATS: a job whose text was deleted gets a result that says so, and keeps its name",
  async (server) => {
    await withStore(server, async (store) => {
      const id = newId("batch_");
      const long = JSON.stringify({ text: "x".repeat(600_000) });
      const customId = 'one "\n\u2028\ud800 ä';
      const jobs = [{ ...line(0), body: long }, { ...line(1), body: long }];
      await store.jobs.enqueue(id, listed(jobs.map((job) => ({ ...job, customId }))));
      assertEquals((await takeSoon(store)).customId, customId);
      await withLink(server, ({ manager }) => manager.streams.purge(CHUNKS));
      assertEquals(await takeOrNot(store), null);
      await store.jobs.finishAll(id, answer("cancelled", 400));
      const [first, second] = await Array.fromAsync(store.jobs.results(id));
      assertEquals([first.customId, second.customId], [customId, customId]);
      assertEquals(first.result, answer("cancelled", 400));
      assertEquals(second.result.error?.code, "request_lost");
      await assertSoon(() => queuedJobs(server), 0);
    });
  },
);

natsTest(
  "NATS: a lost job is put off once, and then taken, as its second attempt",
  async (server) => {
    const options = { leaseMs: 200 };
    await withStore(server, (one) =>
      withStore(server, async (two) => {
        await one.jobs.enqueue(newId("batch_"), lines(1));
        await takeSoon(one);
        const again = await takeSoon(two);
        assertEquals(again.attempt, 2);
        await again.finish(answer(0, 200));
        const { delivered } = await withLink(
          server,
          ({ manager }) => manager.consumers.info(JOBS, WORKERS),
        );
        assertEquals(delivered.consumer_seq, 3);
      }, options), options);
  },
);

natsTest("NATS shows people the jobs that were given up", async (server) => {
  await withStore(server, async (store) => {
    const id = newId("batch_");
    await store.jobs.enqueue(id, lines(1));
    await (await takeSoon(store)).giveBack({ isAttempt: true });
    assertEquals(await takeOrNot(store), null);
    const dead = await withLink(
      server,
      ({ manager }) => manager.direct.getMessage(DEAD, { seq: 1 }),
    );
    const { index: _, ...rest } = line(0);
    assertEquals(dead!.json(), { ...rest, batchId: id, attempts: 1 });
  }, { attemptsMax: 1 });
});

natsTest("NATS out of room refuses with 507, and what was there stays", async (server) => {
  await withStore(server, async (store) => {
    const [first, second] = [newId("file-"), newId("file-")];
    await store.files.put(fileHead(first), pieces(text("first"), 1));
    await withLink(server, ({ manager }) => manager.streams.update(CHUNKS, { max_bytes: 300_000 }));
    const error = await assertRejects(
      () => store.files.put(fileHead(second), pieces(new Uint8Array(100_000), 9)),
      RequestError,
    );
    assertEquals(error.status, 507);
    assertEquals(await store.files.get(second), null);
    assertEquals(await collect((await store.files.read(first))!), text("first"));
    assertEquals((await counts(server))[1], 1);
  });
});

type StoreOptions = Omit<Parameters<typeof openNatsStore>[0], "address">;

async function withStore(
  server: NatsServer,
  use: (store: BatchStore) => Promise<void>,
  options: StoreOptions = {},
): Promise<void> {
  const store = await openNatsStore({ address: parseQueueAddress(server.url), ...options });
  try {
    await use(store);
  } finally {
    await store.close();
  }
}

async function withLink<T>(server: NatsServer, use: (nats: Nats) => Promise<T>): Promise<T> {
  const address = parseQueueAddress(server.url);
  const link = new NatsLink({ address, setUp: () => Promise.resolve() });
  await link.tried;
  try {
    return await link.use(use);
  } finally {
    await link.close();
  }
}

/** Messages of state, chunks, jobs, results, dead letters. */
function counts(server: NatsServer): Promise<number[]> {
  return withLink(
    server,
    ({ manager }) =>
      Promise.all(
        [STATE, CHUNKS, JOBS, RESULTS, DEAD].map(async (name) =>
          (await manager.streams.info(name)).state.messages
        ),
      ),
  );
}

/** Messages of jobs: the server drops what was acknowledged in its own time. */
async function queuedJobs(server: NatsServer): Promise<number> {
  return (await counts(server))[2];
}

async function assertAway(act: () => Promise<unknown>): Promise<void> {
  const startMs = performance.now();
  const error = await assertRejects(act, RequestError, "does not answer");
  assertEquals([error.status, error.retryAfterSeconds], [503, 5]);
  assert(performance.now() - startMs < 500, "it took long to say so");
}

async function untilAway(store: BatchStore): Promise<void> {
  while (await isThere(store)) await pause(10);
}

async function untilThere(store: BatchStore): Promise<void> {
  while (!await isThere(store)) await pause(10);
}

async function isThere({ files }: BatchStore): Promise<boolean> {
  try {
    await files.get("file-none");
    return true;
  } catch {
    return false;
  }
}

async function finishAtLast(job: TakenJob): Promise<boolean> {
  for (;;) {
    try {
      return await job.finish(answer(job.index, 200));
    } catch {
      await pause(20);
    }
  }
}

async function countAtLast({ jobs }: BatchStore, id: string): Promise<number> {
  try {
    return (await jobs.progress(id)).completed;
  } catch {
    return 0;
  }
}
