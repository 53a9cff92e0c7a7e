import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { WorkerError } from "../../src/base/errors.ts";
import { PRIORITY_AHEAD, PRIORITY_GATE, PRIORITY_UP_DOWN } from "../../src/io/board.ts";
import { DONE, FAILED, NO_TICKET, PENDING } from "../../src/io/read_queue.ts";
import type { Fault } from "../support/fake_disk.ts";
import { Rng } from "../support/rng.ts";
import { assertBytes, type Expected, World } from "./read_world.ts";

const SLOT_BYTES = 512;
const PAGES = 4;
const SLOTS = PAGES * 65536 / SLOT_BYTES;

/** A request of the property test and how far it is. */
interface Asked extends Expected {
  readonly ticket: number;
  readonly rank: number;
  readonly arena: number;
}

Deno.test("ReadQueue: no read is lost or done twice, every byte is at its address", () => {
  for (let seed = 0; seed < 120; seed++) {
    const rng = new Rng(seed);
    const ranks = 1 + rng.int(3);
    const ringEntries = 4 << rng.int(3);
    const workers = 1 + rng.int(5);
    const queue = { gapBytesMax: rng.int(4) * 512, spanBytesMax: 512 * (1 + rng.int(20)) };
    // Sectors, or parts of them, of a disk that minds or does not.
    const grainBytes = [SLOT_BYTES, 64, 1][rng.int(3)];
    const disk = { sectorBytes: [0, 512][rng.int(2)] };
    const world = new World({ ranks, workers, ringEntries, pages: PAGES, queue, disk });
    const runs = Array.from(
      { length: ranks },
      (_, rank) => new RankRun(world, rank, rng, grainBytes),
    );
    const busy: number[] = [];
    for (let turn = 0; turn < 400; turn++) {
      const what = rng.int(3);
      if (what === 0) runs[rng.int(ranks)].askSome();
      else if (what === 1) {
        const server = rng.int(workers);
        if (!busy.includes(server) && world.servers[server].take()) busy.push(server);
      } else if (busy.length > 0) {
        world.servers[busy.splice(rng.int(busy.length), 1)[0]].finish();
      }
      if (rng.int(20) === 0) runs[rng.int(ranks)].check();
    }
    for (const { queue } of runs) queue.flush();
    for (const server of busy) world.servers[server].finish();
    world.serveAll();
    let entries = 0;
    for (const run of runs) {
      run.check();
      assertEquals(run.pending.length, 0, `seed ${seed}: all are done`);
      run.assertArenas();
      entries += run.tickets.size;
    }
    assertEquals(world.disk.reads.length, entries, `seed ${seed}: one read a ticket`);
  }
});

/** What one rank of the property test asks, and what its arenas must hold. */
class RankRun {
  readonly pending: Asked[] = [];
  readonly tickets = new Set<number>();
  readonly #done: Asked[] = [];
  /** By arena, slots not handed out yet. */
  readonly #nextSlot = [0, 0];
  /** By priority: the number of the last request, which may be done before older ones. */
  readonly #newest = [0, 0, 0];

  constructor(
    readonly world: World,
    readonly rank: number,
    readonly rng: Rng,
    readonly grainBytes: number,
  ) {}

  get queue() {
    return this.world.queues[this.rank];
  }

  askSome(): void {
    const { rng, queue, rank, grainBytes } = this;
    const priority = rng.int(3);
    const arena = rng.int(2);
    let offsetBytes = rng.int(2 ** 26) * grainBytes * (1 + rng.int(8));
    const merged = rng.int(2) === 0;
    for (let i = 1 + rng.int(6); i > 0; i--) {
      // More would make ask() wait, and here nobody would serve meanwhile.
      if (this.#underWay(priority) >= this.world.setup.ringEntries) return;
      const slots = 1 + rng.int(3);
      const sizeBytes = slots * grainBytes;
      if (this.#nextSlot[arena] + slots > SLOTS) return;
      const address = this.#nextSlot[arena] * grainBytes;
      this.#nextSlot[arena] += slots + rng.int(2);
      const ticket = merged
        ? queue.merge(priority, offsetBytes, sizeBytes, arena, address)
        : queue.ask(priority, offsetBytes, sizeBytes, arena, address);
      this.tickets.add(ticket);
      this.#newest[priority] = ticket >> 2;
      this.pending.push({ ticket, rank, arena, offsetBytes, sizeBytes, address });
      offsetBytes += sizeBytes + grainBytes * rng.int(4) * (rng.int(9) === 0 ? -1 : 1);
      offsetBytes = Math.max(0, offsetBytes);
    }
    if (rng.int(3) === 0) queue.flush();
  }

  /** Looks at everything that is pending; what is done must be there. */
  check(): void {
    for (let i = this.pending.length - 1; i >= 0; i--) {
      const asked = this.pending[i];
      const state = this.queue.state(asked.ticket);
      if (state === PENDING) continue;
      assertEquals(state, DONE);
      assertBytes(this.world.arena(this.rank, asked.arena), asked);
      this.#done.push(...this.pending.splice(i, 1));
    }
  }

  /** Nothing but what was asked for has been written. */
  assertArenas(): void {
    for (const arena of [0, 1]) {
      const bytes = this.world.arena(this.rank, arena);
      const written = new Uint8Array(bytes.length);
      for (const { arena: its, address, sizeBytes } of this.#done) {
        if (its === arena) written.fill(1, address, address + sizeBytes);
      }
      assertEquals(bytes.findIndex((byte, i) => byte !== 0 && written[i] === 0), -1);
    }
  }

  #underWay(priority: number): number {
    const tickets = this.pending.filter(({ ticket }) => (ticket & 3) === priority);
    if (tickets.length === 0) return 0;
    const oldest = Math.min(...tickets.map(({ ticket }) => ticket >> 2));
    return this.#newest[priority] - oldest + 1;
  }
}

Deno.test("ReadQueue: merge() joins neighbours within its limits, and only those", () => {
  const world = new World({ queue: { gapBytesMax: 512, spanBytesMax: 4096 } });
  const [queue] = world.queues;
  const merge = (priority: number, offsetBytes: number, arena: number, address: number) =>
    queue.merge(priority, offsetBytes, 1024, arena, address);
  const a = merge(PRIORITY_GATE, 0, 0, 8192);
  assertEquals(merge(PRIORITY_GATE, 1536, 0, 1024), a, "a gap of 512");
  assert(merge(PRIORITY_GATE, 3584, 0, 2048) !== a, "a gap of 1024");
  const b = merge(PRIORITY_GATE, 10240, 0, 0);
  assert(merge(PRIORITY_GATE, 11264, 1, 0) !== b, "another arena");
  const c = merge(PRIORITY_UP_DOWN, 12288, 1, 1024);
  assertEquals([1, 2, 3].map((i) => merge(PRIORITY_UP_DOWN, 12288 + i * 1024, 1, 4096 * i)), [
    c,
    c,
    c,
  ]);
  assert(merge(PRIORITY_UP_DOWN, 16384, 1, 2048) !== c, "a span of 5120 bytes");
  assert(merge(PRIORITY_UP_DOWN, 16384, 1, 3072) !== c, "backwards");
  queue.flush();
  world.serveAll();
  assertEquals(world.disk.reads.map(({ offsetBytes, sizeBytes }) => [offsetBytes, sizeBytes]), [
    [0, 2560],
    [3584, 1024],
    [10240, 1024],
    [11264, 1024],
    [12288, 4096],
    [16384, 1024],
    [16384, 1024],
  ]);
  assertBytes(world.arena(0, 0), { offsetBytes: 1536, sizeBytes: 1024, address: 1024 });
  assertBytes(world.arena(0, 1), { offsetBytes: 15360, sizeBytes: 1024, address: 12288 });
});

Deno.test("ReadQueue: merge() begins a new read when one has as many pieces as it can keep", () => {
  const world = new World({ queue: { spanBytesMax: 65536 } });
  const [queue] = world.queues;
  const tickets = Array.from({ length: 40 }, (_, i) => queue.merge(1, i * 512, 512, 0, i * 1024));
  queue.flush();
  world.serveAll();
  assertEquals(new Set(tickets).size, 3);
  for (let i = 0; i < 40; i++) {
    assertBytes(world.arena(0, 0), { offsetBytes: i * 512, sizeBytes: 512, address: i * 1024 });
  }
});

Deno.test("ReadQueue: state() of what merge() holds back lets it go", () => {
  const world = new World();
  const [queue] = world.queues;
  const ticket = queue.merge(PRIORITY_GATE, 0, 512, 0, 0);
  world.serveAll();
  assertEquals(world.disk.reads.length, 0);
  assertEquals(queue.state(ticket), PENDING);
  world.serveAll();
  assertEquals(queue.state(ticket), DONE);
});

Deno.test("ReadQueue: wait() lets go what merge() holds back, whatever it waits for", () => {
  const world = new World();
  const [queue] = world.queues;
  const first = queue.ask(PRIORITY_GATE, 0, 512, 0, 0);
  world.serveAll();
  const held = queue.merge(PRIORITY_GATE, 4096, 512, 0, 512);
  assertEquals(queue.wait(first), DONE);
  world.serveAll();
  assertEquals(queue.wait(held), DONE);
});

// fault 38: EIO and short reads.
for (const kind of ["refused", "short"] as const) {
  Deno.test(`ReadQueue: whichever read is ${kind} twice, exactly its ticket fails`, () => {
    for (const merged of [false, true]) {
      for (let failing = 0; failing < 12; failing++) {
        // Read N fails, and the one after it: its second try.
        assertFailures(faulty(kind, failing, 2), { merged, failing });
        assertFailures(faulty(kind, failing, 1), { merged, failing: -1 });
      }
    }
  });
}

function faulty(kind: Fault, first: number, count: number): (read: number) => Fault {
  return (read) => read >= first && read < first + count ? kind : "none";
}

/** Twelve reads, of which the one of index `failing` fails. */
function assertFailures(
  fault: (read: number) => Fault,
  { merged, failing }: { merged: boolean; failing: number },
): void {
  const world = new World({ disk: { fault }, queue: { gapBytesMax: 512 } });
  const [queue] = world.queues;
  const tickets = new Int32Array(12);
  const base = 2 ** 33 + 512;
  for (let i = 0; i < 12; i++) {
    const at = base + i * 8192;
    if (!merged) tickets[i] = queue.ask(PRIORITY_GATE, at, 1536, 1, i * 2048);
    else {
      tickets[i] = queue.merge(PRIORITY_GATE, at, 512, 1, i * 2048);
      assertEquals(queue.merge(PRIORITY_GATE, at + 1024, 512, 1, i * 2048 + 512), tickets[i]);
    }
  }
  queue.flush();
  world.serveAll();
  for (let i = 0; i < 12; i++) {
    assertEquals(queue.state(tickets[i]), i === failing ? FAILED : DONE);
    const at = base + i * 8192;
    if (i === failing) {
      const text = queue.failure(tickets[i]);
      assertStringIncludes(text, `Cannot read 1536 bytes at byte ${at} of "fake.ganglion"`);
      assert(/"EIO: i\/o error, read", twice: check|only 768 came, twice: /.test(text), text);
    } else {
      assertEquals(queue.failure(tickets[i]), "");
      const address = i * 2048;
      const sizeBytes = merged ? 512 : 1536;
      assertBytes(world.arena(0, 1), { offsetBytes: at, sizeBytes, address });
    }
  }
  assertEquals(queue.waitAll(tickets, 12), failing < 0 ? NO_TICKET : tickets[failing]);
}

Deno.test("ReadQueue: tickets are right after their entries have been used again", () => {
  const world = new World({ ringEntries: 4, disk: { fault: faulty("refused", 2, 2) } });
  const [queue] = world.queues;
  const tickets: number[] = [];
  for (let i = 0; i < 40; i++) {
    tickets.push(queue.ask(PRIORITY_UP_DOWN, i * 512, 512, 0, 0));
    world.serveAll();
  }
  assertEquals(tickets.map((ticket) => queue.state(ticket) === FAILED).indexOf(true), 2);
  assertEquals(tickets.filter((ticket) => queue.state(ticket) === DONE).length, 39);
  assertStringIncludes(queue.failure(tickets[2]), "at byte 1024 of");
});

Deno.test("ReadQueue: offsets and addresses of more than 32 and 31 bits are exact", () => {
  const world = new World({ pages: 65536 });
  const [queue] = world.queues;
  const cases = [
    [2 ** 31 - 512, 2 ** 31 - 512],
    [2 ** 32 - 512, 2 ** 31],
    [2 ** 32, 2 ** 32 - 512],
    [2 ** 32 + 2 ** 31 + 512, 2 ** 31 + 512],
    [2 ** 40 - 1024, 512],
  ];
  for (const [offsetBytes, address] of cases) {
    const ticket = queue.ask(PRIORITY_AHEAD, offsetBytes, 512, 1, address);
    world.serveAll();
    assertEquals(queue.state(ticket), DONE);
    assertEquals(world.disk.reads.at(-1)!.offsetBytes, offsetBytes);
    assertBytes(world.arena(0, 1), { offsetBytes, sizeBytes: 512, address });
  }
});

Deno.test("ReadQueue: a read that does not fit its arena fails; nobody dies of it", () => {
  const world = new World();
  const [queue] = world.queues;
  const far = queue.ask(PRIORITY_GATE, 0, 1024, 0, 4 * 65536 - 512);
  const nowhere = queue.ask(PRIORITY_GATE, 0, 512, 7, 0);
  world.serveAll();
  assertEquals([far, nowhere].map((ticket) => queue.state(ticket)), [FAILED, FAILED]);
  assertStringIncludes(queue.failure(far), "outside of the view");
});

Deno.test("ReadQueue: a wait throws when reading was closed or a worker has failed", () => {
  for (const [end, message] of [["close", "was ended"], ["fail", "worker 3 has failed"]]) {
    const world = new World({ ringEntries: 1 });
    const [queue] = world.queues;
    const ticket = queue.ask(PRIORITY_GATE, 0, 512, 0, 0);
    if (end === "close") world.board.close();
    else world.board.fail(3);
    assertThrows(() => queue.wait(ticket), WorkerError, message);
    assertThrows(() => queue.ask(PRIORITY_GATE, 0, 512, 0, 0), WorkerError, message, "full ring");
  }
});
