import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { prefixKeyOf } from "../../src/server/prefix_key.ts";
import { CHAT, hello, post, testApp, TEXT } from "./http_client.ts";

const request = (key?: string) =>
  new Request("http://x/", { headers: key === undefined ? {} : { "x-prefix-key": key } });
const range = (count: number) => Array.from({ length: count }, (_, i) => i);

Deno.test("prefixKeyOf() takes the request's key, then prompt_cache_key, then the first blocks", () => {
  const ids = range(100);
  assertEquals(prefixKeyOf(request("chat-1"), { cacheKey: "c", ids }), "chat-1");
  assertEquals(prefixKeyOf(request(), { cacheKey: "user:7", ids }), "user:7");
  assertMatch(prefixKeyOf(request(), { cacheKey: "line\nbreak", ids }), /^[0-9a-f]{16}$/);
  assertMatch(prefixKeyOf(request("a b"), { ids }), /^[0-9a-f]{16}$/);
  assertMatch(prefixKeyOf(request("x".repeat(129)), { ids }), /^[0-9a-f]{16}$/);
});

Deno.test("prefixKeyOf() is of whole blocks, of the first eight at most", () => {
  const of = (ids: number[]) => prefixKeyOf(request(), { ids });
  assertEquals(of(range(64)), of([...range(64), 9, 9]));
  assertNotEquals(of(range(64)), of(range(96)));
  assertEquals(of(range(256)), of([...range(256), ...range(64)]));
  assertNotEquals(of([1]), of([2]));
});

Deno.test("answers of every API return x-prefix-key, streamed or not, errors none", async () => {
  const { app } = testApp();
  const asks: [string, object][] = [
    [CHAT, hello],
    [TEXT, { prompt: "Hi" }],
    ["/v1/responses", { input: "Hi" }],
    ["/v1/messages", { ...hello, max_tokens: 5 }],
  ];
  for (const [path, body] of asks) {
    for (const stream of [false, true]) {
      const fields = { ...body, stream, prompt_cache_key: "mine" };
      const response = await post(app, path, fields);
      assertEquals(response.headers.get("x-prefix-key"), "mine");
      await response.body?.cancel();
      const given = await post(app, path, fields, { headers: { "x-prefix-key": "given" } });
      assertEquals(given.headers.get("x-prefix-key"), "given");
      await given.body?.cancel();
    }
  }
  for (const [path, body] of [["/api/chat", hello], ["/api/generate", { prompt: "Hi" }]] as const) {
    for (const stream of [false, true]) {
      const response = await post(app, path, { ...body, stream });
      assertMatch(response.headers.get("x-prefix-key") ?? "", /^[0-9a-f]{16}$/);
      await response.body?.cancel();
      const headers = { "x-prefix-key": "given" };
      const given = await post(app, path, { ...body, stream }, { headers });
      assertEquals(given.headers.get("x-prefix-key"), "given");
      await given.body?.cancel();
    }
  }
  const refused = await post(app, CHAT, {});
  assertEquals(refused.headers.get("x-prefix-key"), null);
  await refused.body?.cancel();
});
