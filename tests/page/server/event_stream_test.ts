import { assertEquals, assertRejects } from "@std/assert";
import { readEvents } from "../../../src/page/server/event_stream.ts";

function streamOf(text: string, bytesAtOnce: number): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  return new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += bytesAtOnce) {
        controller.enqueue(bytes.slice(at, at + bytesAtOnce));
      }
      controller.close();
    },
  });
}

const TEXT = `: keep-alive\n\ndata: {"a":"é"}\n\nevent: x\r\ndata:{"a":\r\ndata:"🙂"}\r\n\r\n` +
  `data: [DONE]\n\ndata: {"a":"late"}\n\n`;

Deno.test("readEvents() gives each event's data, however the bytes are cut, up to the end", async () => {
  for (const bytesAtOnce of [1, 2, 3, 7, 1000]) {
    const events = await Array.fromAsync(readEvents(streamOf(TEXT, bytesAtOnce)));
    assertEquals(events, [{ a: "é" }, { a: "🙂" }], `${bytesAtOnce} bytes at once`);
  }
});

Deno.test("readEvents() gives what a stream that was cut has said in full", async () => {
  assertEquals(await Array.fromAsync(readEvents(streamOf(`data: 1\n\ndata: 2`, 4))), [1, 2]);
  await assertRejects(() => Array.fromAsync(readEvents(streamOf(`data: {"a`, 4))), SyntaxError);
});
