import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { TurnQueue } from "../../src/llm/queue.ts";

Deno.test("TurnQueue admits one at a time, in order", async () => {
  const queue = new TurnQueue(8);
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

Deno.test("TurnQueue.enter() throws 503 with Retry-After at once when too many wait", async () => {
  const queue = new TurnQueue(1);
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
  const queue = new TurnQueue(4);
  const end = await queue.enter();
  const abort = new AbortController();
  const left = queue.enter(abort.signal);
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
