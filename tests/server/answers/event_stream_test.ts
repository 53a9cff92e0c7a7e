import { assertEquals, assertStringIncludes } from "@std/assert";
import { EVENT_STREAM } from "../../../src/server/openai/wire.ts";
import { eventStreamResponse } from "../../../src/server/answers/event_stream.ts";

function stream(events: AsyncIterable<string>, options: Record<string, number> = {}) {
  const calls: string[] = [];
  const ended = Promise.withResolvers<void>();
  const response = eventStreamResponse(events, {
    format: EVENT_STREAM,
    keepAliveMs: 60_000,
    streamBufferChars: 1000,
    streamLagMs: 60_000,
    onGone: () => calls.push("gone"),
    onError: (error) => calls.push(String(error)),
    onEnd: () => {
      calls.push("end");
      ended.resolve();
    },
    ...options,
  });
  return { response, calls, ended: ended.promise };
}

Deno.test("eventStreamResponse() sends comments while nothing happens", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { response, calls } = stream(
    async function* () {
      yield "data: 1\n\n";
      await promise;
      yield "data: 2\n\n";
    }(),
    { keepAliveMs: 5 },
  );
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes(": keep-alive\n\n: keep-alive\n\n")) text += (await reader.read()).value;
  resolve();
  while (!text.includes("data: 2")) text += (await reader.read()).value;
  assertEquals((await reader.read()).done, true);
  assertEquals(calls, ["end"]);
});

Deno.test("eventStreamResponse() ends with an error event when its events fail", async () => {
  const { response, calls } = stream(async function* () {
    yield "data: 1\n\n";
    await Promise.resolve();
    throw new Error("boom");
  }());
  assertStringIncludes(await response.text(), `data: 1\n\ndata: {"error":`);
  assertEquals(calls, ["Error: boom", "end"]);
});

Deno.test("eventStreamResponse() drops a reader that lags, and its events with it", async () => {
  let made = 0;
  let isLeft = false;
  const { calls, ended } = stream(
    async function* () {
      try {
        for (; made < 10_000; made++) {
          await Promise.resolve();
          yield "x".repeat(100);
        }
      } finally {
        isLeft = true;
      }
    }(),
    { streamLagMs: 5 },
  );
  await ended;
  assertEquals(calls, ["gone", "end"]);
  // The buffer holds 1000 characters: the eleventh event is not made before there is room.
  assertEquals([made, isLeft], [9, true]);
});
