import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { PRIORITY_AHEAD, PRIORITY_GATE, PRIORITY_UP_DOWN } from "../../src/io/board.ts";
import { DONE, FAILED } from "../../src/io/read_queue.ts";
import { Rng } from "../support/rng.ts";
import { assertBytes, World } from "./read_world.ts";

Deno.test("ReadServer serves gates first, over all ranks, and what is wanted later last", () => {
  for (let seed = 0; seed < 60; seed++) {
    const rng = new Rng(seed);
    const ranks = 1 + rng.int(4);
    const world = new World({ ranks, ringEntries: 128 });
    // Offset of a request: unique, and it says whose it is.
    const waiting: number[][][] = world.queues.map(() => [[], [], []]);
    let number = 0;
    for (let turn = 0; turn < 200; turn++) {
      if (rng.int(2) === 0) {
        const rank = rng.int(ranks);
        const priority = rng.int(3);
        const offsetBytes = 512 * number++;
        world.queues[rank].ask(priority, offsetBytes, 512, 0, 0);
        waiting[rank][priority].push(offsetBytes);
        continue;
      }
      const urgent = [0, 1, 2].find((p) => waiting.some((rank) => rank[p].length > 0));
      assertEquals(world.servers[0].take(), urgent !== undefined);
      if (urgent === undefined) continue;
      world.servers[0].finish();
      const { offsetBytes } = world.disk.reads.at(-1)!;
      const rank = waiting.find((each) => each[urgent][0] === offsetBytes);
      assert(rank !== undefined, `seed ${seed}: the oldest of the most urgent of some rank`);
      rank[urgent].shift();
    }
  }
});

Deno.test("ReadServer takes turns between ranks", () => {
  const world = new World({ ranks: 3 });
  for (let i = 0; i < 20; i++) {
    world.queues.forEach((queue, rank) => queue.ask(PRIORITY_GATE, rank * 2 ** 20, 512, 0, 0));
  }
  const counts = [0, 0, 0];
  for (let i = 0; i < 60; i++) {
    world.servers[0].take();
    world.servers[0].finish();
    counts[world.disk.reads.at(-1)!.offsetBytes / 2 ** 20]++;
    assert(Math.max(...counts) - Math.min(...counts) <= 1, `${counts} after ${i + 1}`);
  }
});

Deno.test("ReadServer: half of the workers stay free of what is wanted later", () => {
  const world = new World({ workers: 4 });
  const [queue] = world.queues;
  for (let i = 0; i < 8; i++) queue.ask(PRIORITY_AHEAD, i * 512, 512, 0, i * 512);
  assertEquals(world.servers.map((server) => server.take()), [true, true, false, false]);
  queue.ask(PRIORITY_UP_DOWN, 0, 512, 0, 0);
  assert(world.servers[3].take(), "more urgent");
  world.servers[3].finish();
  assertEquals(world.servers[3].take(), false);
  world.servers[0].finish();
  assert(world.servers[3].take(), "a place was free");
  world.servers[1].finish();
  world.servers[3].finish();
  for (let i = 0; i < 5; i++) {
    assert(world.servers[2].take());
    world.servers[2].finish();
  }
  assertEquals(world.servers[2].take(), false);
  assertEquals(world.disk.reads.length, 9);
});

Deno.test("ReadServer notices within a second of reading that the file has changed", () => {
  const world = new World();
  const [queue] = world.queues;
  const read = () => {
    const ticket = queue.ask(PRIORITY_GATE, 512, 512, 0, 0);
    world.serveAll();
    return ticket;
  };
  assertEquals(queue.state(read()), DONE);
  world.disk.unchanged = false;
  world.nowMs += 999;
  assertEquals(queue.state(read()), DONE, "not looked at yet");
  world.nowMs += 1;
  const ticket = read();
  assertEquals(queue.state(ticket), FAILED);
  assertEquals(
    queue.failure(ticket),
    'Cannot read 512 bytes at byte 512 of "fake.ganglion": the model file changed while it ' +
      "was in use: load it again",
  );
  const reads = world.disk.reads.length;
  assertEquals(queue.state(read()), FAILED);
  assertEquals(world.disk.reads.length, reads, "what changed is not read any more");
});

Deno.test("ReadServer looks at the file also when the clock is set back", () => {
  const world = new World();
  const [queue] = world.queues;
  queue.ask(PRIORITY_GATE, 0, 512, 0, 0);
  world.serveAll();
  world.disk.unchanged = false;
  world.nowMs -= 3_600_000;
  const ticket = queue.ask(PRIORITY_GATE, 0, 512, 0, 0);
  world.serveAll();
  assertEquals(queue.state(ticket), FAILED);
});

Deno.test("ReadServer says of a failed read that the file changed, when it did", () => {
  const world = new World({ disk: { fault: (read) => read > 0 ? "short" : "none" } });
  const [queue] = world.queues;
  queue.ask(PRIORITY_GATE, 0, 512, 0, 0);
  world.serveAll();
  world.disk.unchanged = false;
  const ticket = queue.ask(PRIORITY_GATE, 0, 512, 0, 0);
  world.serveAll();
  assertStringIncludes(queue.failure(ticket), "the model file changed");
});

Deno.test("ReadServer lets the last sector end behind the file's end, and nothing else", () => {
  const world = new World({ disk: { sizeBytes: 10_000 } });
  const [queue] = world.queues;
  const ask = (offsetBytes: number, sizeBytes: number) =>
    queue.ask(PRIORITY_GATE, offsetBytes, sizeBytes, 0, 0);
  const tickets = [ask(9728, 512), ask(9216, 1024), ask(10_240, 512), ask(9728, 8192)];
  world.serveAll();
  const [last] = tickets;
  assertEquals(tickets.map((ticket) => queue.state(ticket)), [DONE, DONE, FAILED, FAILED]);
  assertEquals(queue.state(last), DONE);
  assertStringIncludes(queue.failure(tickets[2]), "only 0 came");
  assertStringIncludes(queue.failure(tickets[3]), "only 272 came");
  assertBytes(world.arena(0, 0), { offsetBytes: 9728, sizeBytes: 272, address: 0 });
});
