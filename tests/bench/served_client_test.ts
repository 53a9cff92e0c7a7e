import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { pause } from "../../src/base/pause.ts";
import { timedChat } from "./served_client.ts";

const chunk = (content: string) => ({ choices: [{ delta: { content } }] });
const USAGE = {
  choices: [],
  usage: {
    prompt_tokens: 9,
    completion_tokens: 3,
    prompt_tokens_details: { cached_tokens: 4 },
  },
};

/** Runs `use` beside a server that sends these events, or waits so many milliseconds. */
async function withEvents(
  events: readonly (object | string | number)[],
  use: (url: string, bodies: unknown[]) => Promise<void>,
): Promise<void> {
  const bodies: unknown[] = [];
  const answer = async (request: Request) => {
    bodies.push(await request.json());
    const encoder = new TextEncoder();
    async function* bytes() {
      for (const event of events) {
        if (typeof event === "number") await pause(event);
        else if (typeof event === "string") yield encoder.encode(event);
        else yield encoder.encode(`data: ${JSON.stringify(event)}\n\n`);
      }
    }
    return new Response(ReadableStream.from(bytes()));
  };
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, answer);
  await use(`http://127.0.0.1:${server.addr.port}`, bodies);
}

Deno.test("timedChat() has an answer's text, tokens and times", async () => {
  const events = [
    ...[{ choices: [{ delta: { role: "assistant", content: "" } }] }, 60, chunk("a"), chunk("b")],
    ...[150, "data: ", `${JSON.stringify(chunk("c"))}\n`, "\n", 40, USAGE, "data: [DONE]\n\n"],
  ];
  await withEvents(events, async (url, bodies) => {
    const chat = await timedChat(url, { messages: [], max_tokens: 3 });
    const { firstMs, longestGapMs, totalMs, ...rest } = chat;
    assertEquals(rest, { promptTokens: 9, cachedTokens: 4, completionTokens: 3, text: "abc" });
    assertAlmostEquals(firstMs, 60, 50);
    assertAlmostEquals(longestGapMs, 150, 70);
    assertAlmostEquals(totalMs, 250, 120);
    const stream = { stream: true, stream_options: { include_usage: true } };
    assertEquals(bodies, [{ messages: [], max_tokens: 3, ...stream }]);
  });
});

Deno.test("timedChat() fails where an answer has no end, or an error in it", async () => {
  await withEvents([chunk("a")], async (url) => {
    await assertRejects(() => timedChat(url, {}), Error, "has no end");
  });
  await withEvents([chunk("a"), { error: { message: "lost" } }], async (url) => {
    await assertRejects(() => timedChat(url, {}), Error, "lost");
  });
});
