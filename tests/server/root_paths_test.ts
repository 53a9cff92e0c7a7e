/** Paths without "/v1", as llama.cpp's server has them. */
import { assertEquals } from "@std/assert";
import { ApiKeys } from "../../src/server/api_keys.ts";
import { hello, post, testApp } from "./http_client.ts";

Deno.test("clients whose base URL has no /v1 are answered as all others", async () => {
  const { app } = testApp({}, { apiKeys: new ApiKeys(["k"]) });
  const headers = { authorization: "Bearer k" };
  for (
    const [path, body] of [
      ["/chat/completions", hello],
      ["/chat/completions/input_tokens", hello],
      ["/responses", { input: "Hi" }],
      ["/responses/input_tokens", { input: "Hi" }],
    ] as const
  ) {
    const [here, there] = await Promise.all(
      ["", "/v1"].map(async (base) => (await post(app, base + path, body, { headers })).json()),
    );
    assertEquals(Object.keys(here), Object.keys(there));
    assertEquals([here.object, here.usage], [there.object, there.usage]);
    assertEquals((await post(app, path, body)).status, 401);
    const wrong = await post(app, path, { ...body, messages: 5, input: 5 }, { headers });
    assertEquals(wrong.status, 400);
  }
  assertEquals((await app.request("/v1/health")).status, 200);
});

Deno.test("every API refuses adapters of one request that the model has not, in the same words", async () => {
  const { app } = testApp();
  const anthropic = { ...hello, max_tokens: 4 };
  for (
    const [path, body] of [
      ["/v1/chat/completions", hello],
      ["/v1/completions", { prompt: "a" }],
      ["/v1/responses", { input: "a" }],
      ["/v1/messages", anthropic],
      ["/api/chat", { ...hello, model: "scripted", stream: false }],
      ["/api/generate", { prompt: "a", model: "scripted", stream: false }],
      ["/completion", { prompt: "a" }],
    ] as const
  ) {
    const refused = await post(app, path, { ...body, lora: [{ id: 0, scale: 1 }] });
    assertEquals(refused.status, 400, path);
    assertEquals((await refused.text()).includes("--lora-model NAME=FILE"), true, path);
    const none = await post(app, path, { ...body, lora: [] });
    assertEquals([none.status, none.headers.get("x-ignored-fields")], [200, null], path);
    await none.body?.cancel();
  }
});
