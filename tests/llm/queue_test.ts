import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { TurnQueue } from "../../src/llm/queue.ts";

Deno.test("TurnQueue admits one at a time, in order", async () => {
  const queue = new TurnQueue({ runningMax: 1, waitingMax: 8 });
  const order: number[] = [];
  await Promise.all([1, 2, 3].map(async (n) => {
    const end = await queue.enter();
    assertEquals(queue.running, 1);
    order.push(n);
    await new Promise((resolve) => setTimeout(resolve, 1));
    order.push(-n);
    end();
  }));
  assertEquals(order, [1, -1, 2, -2, 3, -3]);
  assertEquals([queue.running, queue.waiting], [0, 0]);
});

// fault 51: the queue is full.
Deno.test("TurnQueue.enter() throws 503 with Retry-After at once when too many wait", async () => {
  const queue = new TurnQueue({ runningMax: 1, waitingMax: 1 });
  const end = await queue.enter();
  const second = queue.enter();
  const error = assertThrows(() => queue.enter(), RequestError);
  assertEquals([error.status, error.code], [503, "queue_full"]);
  assert(error.retryAfterSeconds !== null && error.retryAfterSeconds >= 1);
  end();
  (await second)();
  assertEquals(queue.running, 0);
});

Deno.test("TurnQueue forgets a waiter that is aborted, and ends a turn only once", async () => {
  const queue = new TurnQueue({ runningMax: 1, waitingMax: 4 });
  const end = await queue.enter();
  const abort = new AbortController();
  const left = queue.enter({ signal: abort.signal });
  const stays = queue.enter();
  assertEquals(queue.waiting, 2);
  abort.abort(new Error("gone"));
  await assertRejects(() => left, Error, "gone");
  assertEquals(queue.waiting, 1);
  end();
  end();
  const endSecond = await stays;
  assertEquals(queue.running, 1);
  endSecond();
  assertEquals(queue.running, 0);
});

Deno.test("TurnQueue admits as many as run at once, those of higher priority first", async () => {
  const queue = new TurnQueue({ runningMax: 2, waitingMax: 8 });
  const ends = [await queue.enter(), await queue.enter()];
  const order: string[] = [];
  const wait = async (name: string, priority: number) => {
    const end = await queue.enter({ priority });
    order.push(name);
    ends.push(end);
  };
  const waits = [wait("low", -1), wait("first", 0), wait("second", 0), wait("high", 3)];
  assertEquals([queue.running, queue.waiting], [2, 4]);
  for (let i = 0; i < 4; i++) {
    ends.shift()!();
    await new Promise((resolve) => setTimeout(resolve, 0));
    assertEquals(queue.running, 2);
  }
  await Promise.all(waits);
  assertEquals(order, ["high", "first", "second", "low"]);
});

Deno.test("TurnQueue lets a turn alone wait for all others, and all others for it", async () => {
  const queue = new TurnQueue({ runningMax: 3, waitingMax: 8 });
  const ends = [await queue.enter(), await queue.enter()];
  const alone = queue.enter({ isAlone: true });
  const later = [queue.enter(), queue.enter()];
  assertEquals([queue.running, queue.waiting], [2, 3]);
  ends.forEach((end) => end());
  const endAlone = await alone;
  assertEquals([queue.running, queue.waiting], [1, 2]);
  endAlone();
  for (const turn of later) await turn;
  assertEquals([queue.running, queue.waiting], [2, 0]);
});

Deno.test("TurnQueue goes on when one that waits to be alone is aborted", async () => {
  const queue = new TurnQueue({ runningMax: 2, waitingMax: 8 });
  const end = await queue.enter();
  const abort = new AbortController();
  const alone = queue.enter({ isAlone: true, signal: abort.signal });
  const next = queue.enter();
  abort.abort(new Error("gone"));
  await assertRejects(() => alone, Error, "gone");
  (await next)();
  end();
  assertEquals(queue.running, 0);
});

Deno.test("TurnQueue lets what is more urgent pass one that waits to be alone", async () => {
  const queue = new TurnQueue({ runningMax: 2, waitingMax: 8 });
  const end = await queue.enter();
  const alone = queue.enter({ isAlone: true, priority: -1 });
  const endUrgent = await queue.enter();
  assertEquals([queue.running, queue.waiting], [2, 1]);
  const equal = queue.enter({ priority: -1 });
  endUrgent();
  assertEquals([queue.running, queue.waiting], [1, 2]);
  end();
  (await alone)();
  (await equal)();
  assertEquals([queue.running, queue.waiting], [0, 0]);
});
