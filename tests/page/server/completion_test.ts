import { assertEquals } from "@std/assert";
import type { Client } from "../../../src/page/server/client.ts";
import { ask } from "../../../src/page/server/completion.ts";
import { DEFAULT_SETTINGS } from "../../../src/page/state/settings.ts";

/** A client whose answer is "Hi", and what it was sent. */
function greeting() {
  const bodies: Record<string, unknown>[] = [];
  const client = {
    post: (_path: string, body: Record<string, unknown>) => {
      bodies.push(body);
      const end = { choices: [{ delta: { content: "Hi" }, finish_reason: "stop" }] };
      return Promise.resolve(new Response(`data: ${JSON.stringify(end)}\n\ndata: [DONE]\n\n`));
    },
  } as unknown as Client;
  return { client, bodies };
}

const question = { model: "m", settings: DEFAULT_SETTINGS, cacheKey: "chat-1" };

Deno.test("ask() sends the chat's name along, by which proxies keep it on its replica", async () => {
  const { client, bodies } = greeting();
  const asked = { ...question, messages: [{ role: "user", content: "Hello" }] };
  const pieces = await Array.fromAsync(ask(client, asked, new AbortController().signal));
  assertEquals(pieces.map(({ text }) => text), ["Hi"]);
  assertEquals(bodies.map((body) => body.prompt_cache_key), ["chat-1"]);
});

Deno.test("ask() sends parts where there are images, and plain text elsewhere", async () => {
  const { client, bodies } = greeting();
  const messages = [
    { role: "user", content: "What is it?", images: ["data:a", "data:b"] },
    { role: "assistant", content: "Red." },
    { role: "user", content: "", images: ["data:c"] },
  ];
  const settings = { ...DEFAULT_SETTINGS, system: "Be brief." };
  const asked = { ...question, settings, messages };
  await Array.fromAsync(ask(client, asked, new AbortController().signal));
  const part = (url: string) => ({ type: "image_url", image_url: { url } });
  assertEquals(bodies[0].messages, [
    { role: "system", content: "Be brief." },
    {
      role: "user",
      content: [part("data:a"), part("data:b"), { type: "text", text: "What is it?" }],
    },
    messages[1],
    { role: "user", content: [part("data:c")] },
  ]);
});
