import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { WorkerError } from "../../src/base/errors.ts";
import { DONE, FAILED, NO_TICKET, ReadQueue } from "../../src/io/mod.ts";
import { IoPool } from "../../workers/io_pool.ts";
import { byteAt } from "../support/fake_disk.ts";
import { Rng } from "../support/rng.ts";

const SIZE_BYTES = 3 * 2 ** 20 + 777;
const BYTES = new Uint8Array(SIZE_BYTES);
for (let i = 0; i < SIZE_BYTES; i++) BYTES[i] = byteAt(i);

function makeFile(): { path: string; [Symbol.dispose](): void } {
  const path = Deno.makeTempFileSync({ prefix: "ganglion-pool-" });
  Deno.writeFileSync(path, BYTES);
  return { path, [Symbol.dispose]: () => Deno.removeSync(path) };
}

function startPool(path: string, options: Partial<ConstructorParameters<typeof IoPool>[0]> = {}) {
  const memory = () => new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
  const memories = [[memory(), memory()], [memory(), memory()]];
  const pool = new IoPool({ path, stamp: null, workerCount: 3, memories, ...options });
  const queues = [0, 1].map((rank) => new ReadQueue(pool.board, rank, { path, gapBytesMax: 1024 }));
  return { pool, queues, memories };
}

Deno.test("IoPool: every byte of a file comes to its address, for two ranks", async () => {
  using file = makeFile();
  for (const direct of [true, false]) {
    const { pool, queues, memories } = startPool(file.path, { direct });
    await pool.ready;
    const rng = new Rng(7);
    const tickets = new Int32Array(200);
    const offsets = new Float64Array(200);
    for (let round = 0; round < 6; round++) {
      queues.forEach((queue, rank) => {
        for (let i = 0; i < 200; i++) {
          const near = i > 0 && rng.int(2) === 0;
          offsets[i] = near ? offsets[i - 1] + 4096 : 512 * rng.int(6000);
          if (i === 199) offsets[i] = SIZE_BYTES - SIZE_BYTES % 512; // a sector's beginning
          const size = i === 199 ? 512 : 3584;
          tickets[i] = queue.merge(rng.int(3), offsets[i], size, round % 2, i * 3584);
        }
        assertEquals(queue.waitAll(tickets, 200), NO_TICKET);
        const arena = new Uint8Array(memories[rank][round % 2].buffer);
        for (let i = 0; i < 200; i++) {
          const size = Math.min(3584, SIZE_BYTES - offsets[i]);
          const at = arena.subarray(i * 3584, i * 3584 + size);
          assertEquals(at.findIndex((byte, j) => byte !== byteAt(offsets[i] + j)), -1);
        }
      });
    }
    await pool.close();
  }
});

Deno.test("IoPool: a file that is missing or another one is an error, and nobody waits", async () => {
  using file = makeFile();
  const stamp = { sizeBytes: SIZE_BYTES - 1, modifiedMs: 0, inode: null };
  for (
    const [options, message] of [
      [{ path: `${file.path}.none` }, "there is no such file"],
      [{ stamp }, "changed since the model was looked at"],
    ] as const
  ) {
    const { pool, queues } = startPool(file.path, options);
    await assertRejects(() => pool.ready, WorkerError, message);
    assertThrows(() => queues[0].wait(queues[0].ask(0, 0, 512, 0, 0)), WorkerError, "has failed");
    await pool.close();
  }
});

Deno.test("IoPool: a file that changes while it is read makes reads fail", async () => {
  using file = makeFile();
  const { pool, queues: [queue] } = startPool(file.path);
  await pool.ready;
  assertEquals(queue.wait(queue.ask(0, 0, 512, 0, 0)), DONE);
  Deno.writeTextFileSync(file.path, "!", { append: true });
  const startMs = performance.now();
  let ticket = queue.ask(0, 0, 512, 0, 0);
  while (queue.wait(ticket) === DONE) {
    assert(performance.now() - startMs < 3_000, "it is looked at every second");
    await new Promise((resolve) => setTimeout(resolve, 20));
    ticket = queue.ask(0, 0, 512, 0, 0);
  }
  assertEquals(queue.state(ticket), FAILED);
  assertStringIncludes(queue.failure(ticket), "the model file changed while it was in use");
  await pool.close();
});

Deno.test("IoPool.close() ends workers in the middle of their reads", async () => {
  using file = makeFile();
  const { pool, queues } = startPool(file.path);
  await pool.ready;
  let last = 0;
  for (let i = 0; i < 300; i++) {
    for (const queue of queues) last = queue.ask(i % 3, 512 * (i % 6000), 3584, 1, 0);
  }
  await pool.close();
  // What was read is read; what was not is not waited for.
  try {
    assertEquals(queues[1].wait(last), DONE);
  } catch (error) {
    assertStringIncludes(String(error), "Reading was ended");
  }
});
