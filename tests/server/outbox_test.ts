import { assert, assertEquals, assertRejects } from "@std/assert";
import { Outbox } from "../../src/server/outbox.ts";

function outbox(options: { bufferChars?: number; lagMs?: number } = {}) {
  const gone = Promise.withResolvers<void>();
  let goneCount = 0;
  const box = new Outbox({
    bufferChars: 10,
    lagMs: 60_000,
    onGone: () => {
      goneCount += 1;
      gone.resolve();
    },
    ...options,
  });
  return { box, gone: gone.promise, goneCount: () => goneCount };
}

const decode = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

Deno.test("Outbox delivers what a waiting reader wants, and joins what piled up", async () => {
  const { box } = outbox();
  const reader = box.stream.getReader();
  const early = reader.read();
  await Promise.resolve();
  box.send("a");
  assertEquals(decode((await early).value), "a");
  box.send("b");
  box.send("€");
  assert(!box.isEmpty);
  assertEquals(decode((await reader.read()).value), "b€");
  assert(box.isEmpty);
  box.close();
  assertEquals((await reader.read()).done, true);
});

Deno.test("Outbox closes after what it still holds", async () => {
  const { box, goneCount } = outbox();
  box.send("last");
  box.close();
  box.send("too late");
  assertEquals(await new Response(box.stream).text(), "last");
  assertEquals(goneCount(), 0);
});

// fault 50: a bounded buffer for slow readers.
Deno.test("Outbox is full at its bound, and has room once the reader has read", async () => {
  const { box } = outbox({ bufferChars: 3 });
  const reader = box.stream.getReader();
  box.send("ab");
  assert(!box.isFull);
  await box.room();
  box.send("c");
  assert(box.isFull);
  let hasRoom = false;
  const room = box.room().then(() => hasRoom = true);
  await Promise.resolve();
  assert(!hasRoom);
  await reader.read();
  await room;
  assert(!box.isFull);
  await reader.cancel();
});

Deno.test("Outbox gives up on a reader that takes nothing for too long", async () => {
  const { box, gone, goneCount } = outbox({ lagMs: 5 });
  box.send("x".repeat(20));
  const room = box.room();
  await gone;
  await room;
  assert(box.isEmpty);
  box.send("more");
  box.close();
  await assertRejects(() => box.stream.getReader().read(), Error, "unread for 5 ms");
  assertEquals(goneCount(), 1);
});

Deno.test("Outbox gives up on a reader even after the end of what it sends", async () => {
  const { box, gone } = outbox({ lagMs: 5 });
  box.send("x");
  box.close();
  await gone;
});

Deno.test("Outbox lets a slow but steady reader go on", async () => {
  const { box, goneCount } = outbox({ lagMs: 600 });
  const reader = box.stream.getReader();
  for (let i = 0; i < 5; i++) {
    box.send("x");
    await new Promise((resolve) => setTimeout(resolve, 150));
    await reader.read();
  }
  assertEquals(goneCount(), 0);
  await reader.cancel();
  assertEquals(goneCount(), 1);
});
