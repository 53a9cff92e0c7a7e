import { assertEquals } from "@std/assert";
import type { Client } from "../../../src/page/server/client.ts";
import { ask } from "../../../src/page/server/completion.ts";
import { DEFAULT_SETTINGS } from "../../../src/page/state/settings.ts";

Deno.test("ask() sends the chat's name along, by which proxies keep it on its replica", async () => {
  const bodies: Record<string, unknown>[] = [];
  const client = {
    post: (_path: string, body: Record<string, unknown>) => {
      bodies.push(body);
      const end = { choices: [{ delta: { content: "Hi" }, finish_reason: "stop" }] };
      return Promise.resolve(new Response(`data: ${JSON.stringify(end)}\n\ndata: [DONE]\n\n`));
    },
  } as unknown as Client;
  const messages = [{ role: "user", content: "Hello" }];
  const question = { model: "m", messages, settings: DEFAULT_SETTINGS, cacheKey: "chat-1" };
  const pieces = await Array.fromAsync(ask(client, question, new AbortController().signal));
  assertEquals(pieces.map(({ text }) => text), ["Hi"]);
  assertEquals(bodies.map((body) => body.prompt_cache_key), ["chat-1"]);
});
