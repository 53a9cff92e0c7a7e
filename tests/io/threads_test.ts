/** The board between real threads, which sleep and are woken. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { WorkerError } from "../../src/base/errors.ts";
import { ASLEEP_WORD, Board, type BoardSetup, createBoard } from "../../src/io/board.ts";
import { DONE, NO_TICKET, ReadQueue } from "../../src/io/read_queue.ts";
import { Rng } from "../support/rng.ts";
import type { FakeWorkerSetup } from "./fake_worker.ts";
import { assertBytes, times } from "./read_world.ts";

interface Threads {
  readonly board: Board;
  readonly setup: BoardSetup;
  readonly queues: readonly ReadQueue[];
  arena(rank: number): Uint8Array;
  /** Settles when all workers have left: how many reads each did. */
  readonly left: Promise<number[]>;
}

async function startThreads(
  { ranks = 1, workers = 3, ringEntries = 64, delayMsMax = 0, end }: {
    ranks?: number;
    workers?: number;
    ringEntries?: number;
    delayMsMax?: number;
    end?: FakeWorkerSetup["end"];
  },
): Promise<Threads> {
  const setup = createBoard({ rankCount: ranks, workerCount: workers, ringEntries });
  const memories = times(
    ranks,
    () => [new WebAssembly.Memory({ initial: 8, maximum: 8, shared: true })],
  );
  const started: Promise<unknown>[] = [];
  const left = times(workers, (worker) => {
    const thread = new Worker(new URL("./fake_worker.ts", import.meta.url), { type: "module" });
    const ready = Promise.withResolvers<void>();
    started.push(ready.promise);
    const gone = Promise.withResolvers<number>();
    thread.onmessage = ({ data }) => data === "ready" ? ready.resolve() : gone.resolve(data);
    // Only the first worker comes to the end that was chosen.
    const chosen = worker === 0 ? end : undefined;
    const post: FakeWorkerSetup = { worker, board: setup, memories, delayMsMax, end: chosen };
    thread.postMessage(post);
    return gone.promise;
  });
  await Promise.all(started);
  return {
    setup,
    board: new Board(setup),
    queues: times(ranks, (rank) => new ReadQueue(setup, rank, { path: "fake" })),
    arena: (rank) => new Uint8Array(memories[rank][0].buffer),
    left: Promise.all(left),
  };
}

Deno.test("ReadQueue: ranks and workers of many threads get all that is asked for", async () => {
  const ranks = 4;
  const threads = await startThreads({ ranks, delayMsMax: 1 });
  const rng = new Rng(1);
  const tickets = times(ranks, () => new Int32Array(40));
  const offsets = times(ranks, () => new Float64Array(40));
  let asked = 0;
  for (let round = 0; round < 8; round++) {
    for (let i = 0; i < 40; i++) {
      threads.queues.forEach((queue, rank) => {
        offsets[rank][i] = rng.int(2 ** 30) * 512;
        tickets[rank][i] = queue.ask(rng.int(3), offsets[rank][i], 1024, 0, i * 1024);
        asked++;
      });
    }
    threads.queues.forEach((queue, rank) => {
      assertEquals(queue.waitAll(tickets[rank], 40), NO_TICKET);
      for (let i = 0; i < 40; i++) {
        const read = { offsetBytes: offsets[rank][i], sizeBytes: 1024, address: i * 1024 };
        assertBytes(threads.arena(rank), read);
      }
    });
  }
  threads.board.close();
  const reads = await threads.left;
  assertEquals(reads.reduce((sum, each) => sum + each), asked);
  assert(reads.every((count) => count > 0), `all workers took part: ${reads}`);
});

Deno.test("ReadServer: workers that reach for the same request do not both get it", async () => {
  const ranks = 2;
  const threads = await startThreads({ ranks, ringEntries: 512 });
  const tickets = new Int32Array(500);
  for (let round = 0; round < 40; round++) {
    const queue = threads.queues[round % ranks];
    for (let i = 0; i < 500; i++) tickets[i] = queue.ask(0, i * 512, 16, 0, i * 512);
    assertEquals(queue.waitAll(tickets, 500), NO_TICKET);
  }
  threads.board.close();
  assertEquals((await threads.left).reduce((sum, each) => sum + each), 40 * 500);
});

Deno.test("ReadQueue: ask() waits for room in a full ring", async () => {
  const threads = await startThreads({ ringEntries: 2, delayMsMax: 2 });
  const [queue] = threads.queues;
  const tickets = Int32Array.from({ length: 60 }, (_, i) => queue.ask(1, i * 512, 512, 0, i * 512));
  assertEquals(queue.waitAll(tickets, 60), NO_TICKET);
  for (let i = 0; i < 60; i++) {
    assertBytes(threads.arena(0), { offsetBytes: i * 512, sizeBytes: 512, address: i * 512 });
  }
  threads.board.close();
  await threads.left;
});

Deno.test("ReadQueue.ask() wakes workers, and sleepers are counted right", async () => {
  const threads = await startThreads({});
  const [queue] = threads.queues;
  const startMs = performance.now();
  for (let round = 0; round < 20; round++) {
    // All are asleep: a read that nobody is woken for would take most of a second.
    while (Atomics.load(threads.board.words, ASLEEP_WORD) < 3) {
      assert(performance.now() - startMs < 10_000, "workers are counted as they fall asleep");
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assertEquals(Atomics.load(threads.board.words, ASLEEP_WORD), 3);
    const tickets = times(1 + round % 5, (i) => queue.ask(0, i * 512, 512, 0, 0));
    for (const ticket of tickets) assertEquals(queue.wait(ticket), DONE);
  }
  assert(performance.now() - startMs < 2_500);
  threads.board.close();
  await threads.left;
});

for (const kind of ["throw", "close", "mute"] as const) {
  Deno.test(`ReadQueue: a rank hears of the end of reading: ${kind}`, async () => {
    const end = { kind, at: 5 };
    const threads = await startThreads({ delayMsMax: 3, ringEntries: 8, end });
    const [queue] = threads.queues;
    let startMs = 0;
    assertThrows(
      () => {
        for (let i = 0;; i++) {
          startMs = performance.now();
          queue.ask(i % 3, i * 512, 512, 0, 0);
        }
      },
      WorkerError,
      kind === "throw" ? "I/O worker 0 has failed" : "Reading was ended",
    );
    // Nobody is told of a mute end: a sleeper looks up every 200 ms, or would sleep on for ever.
    assert(performance.now() - startMs < 2_000);
    await threads.left; // no worker hangs
  });
}
