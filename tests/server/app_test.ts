import { assertEquals, assertStringIncludes } from "@std/assert";
import { ApiKeys, createApp, Lifecycle, loadedModels } from "../../src/server/mod.ts";
import { ScriptedModel } from "../support/scripted_model.ts";
import { CHAT, hello, post, refused, testApp } from "./http_client.ts";

Deno.test("createApp() lists models, and shows one, slashes in its name or not", async () => {
  const { app } = testApp({ id: "hf:user/tiny:Q4_K", contextLength: 512 });
  const card = {
    id: "hf:user/tiny:Q4_K",
    object: "model",
    created: 1_700_000_000,
    owned_by: "ganglion",
    context_length: 512,
    architecture: { input_modalities: ["text"], output_modalities: ["text"] },
  };
  const get = async (path: string) => await (await app.request(path)).json();
  assertEquals(await get("/v1/models"), { object: "list", data: [card] });
  assertEquals(await get("/v1/models/hf:user/tiny:Q4_K"), card);
  assertEquals(await get(`/v1/models/${encodeURIComponent(card.id)}`), card);
  assertEquals((await get("/v1/models/other")).error.code, "model_not_found");
});

Deno.test("createApp() shows no model under a name that is only answered for it", async () => {
  const model = new ScriptedModel({ id: "real" });
  const app = createApp({ models: loadedModels([model]) });
  assertEquals((await app.request("/v1/models/real")).status, 200);
  assertEquals((await app.request("/v1/models/gpt-4o")).status, 404);
});

Deno.test("createApp() says 503 when the engine behind a model has failed", async () => {
  const model = Object.assign(new ScriptedModel({ id: "real" }), { failure: new Error("gone") });
  const app = createApp({ models: loadedModels([model]) });
  assertEquals((await app.request("/health")).status, 503);
});

Deno.test("createApp() says 503 while loading, 200 when ready, 503 when leaving", async () => {
  const models = {
    state: "loading" as "loading" | "ready",
    acquire: () => Promise.resolve(undefined),
    list: () => [],
  };
  const lifecycle = new Lifecycle();
  const app = createApp({ models, lifecycle });
  const loading = await app.request("/health");
  assertEquals(loading.status, 503);
  assertEquals(await loading.json(), {
    error: { code: 503, type: "unavailable_error", message: "Loading model" },
  });
  assertEquals((await refused(app, CHAT, hello, 503)).code, "model_loading");
  assertEquals((await app.request("/livez")).status, 200);
  models.state = "ready";
  const ready = await app.request("/health");
  assertEquals([ready.status, await ready.json()], [200, { status: "ok" }]);
  lifecycle.drain();
  assertEquals((await app.request("/readyz")).status, 503);
  assertEquals((await app.request("/livez")).status, 200);
});

// fault 46: wrong methods are a 405.
Deno.test("createApp() answers unknown paths 404 and wrong methods 405 with Allow", async () => {
  const { app } = testApp();
  for (const path of ["/v1/nothing", "/v1", "/v1/chat", "/page/chat.js", "/../etc/passwd"]) {
    const response = await app.request(path);
    assertEquals(response.status, 404, path);
    assertEquals((await response.json()).error.code, "unknown_url");
  }
  const near: [string, string][] = [
    ["/messages", "/v1/messages"],
    ["/v1/v1/chat/completions", "/v1/chat/completions"],
    ["//v1/embeddings", "/v1/embeddings"],
    ["/v1/completions/", "/v1/completions"],
    ["/api/chats", "/api/chat"],
  ];
  for (const [path, meant] of near) {
    const { error } = await (await app.request(`http://localhost${path}`)).json();
    const message = `Unknown path "${path}": did you mean "${meant}"?`;
    assertEquals(error.message ?? error, message);
  }
  const far = await (await app.request("/v1/nothing")).json();
  assertEquals(far.error.message, `Unknown path "/v1/nothing"`);
  const wrong: [string, string, string][] = [
    [CHAT, "GET", "POST, OPTIONS"],
    [CHAT, "DELETE", "POST, OPTIONS"],
    ["/v1/models", "POST", "GET, HEAD, OPTIONS"],
    ["/health", "PUT", "GET, HEAD, OPTIONS"],
    ["/page/app.js", "POST", "GET, HEAD, OPTIONS"],
    ["/", "DELETE", "GET, POST, HEAD, OPTIONS"],
  ];
  for (const [path, method, allow] of wrong) {
    const response = await app.request(path, { method });
    assertEquals([response.status, response.headers.get("allow")], [405, allow]);
    assertEquals((await response.json()).error.code, "method_not_allowed");
  }
  const options = await app.request(CHAT, { method: "OPTIONS" });
  assertEquals([options.status, options.headers.get("allow")], [204, "POST, OPTIONS"]);
  assertEquals((await app.request("/health", { method: "HEAD" })).status, 200);
});

Deno.test("createApp() gives every answer its security headers and a request id", async () => {
  const { app } = testApp();
  const answers = [
    await app.request("/"),
    await app.request("/nowhere"),
    await app.request("/health", { headers: { host: "evil.example" } }),
    await post(app, CHAT, hello),
    await post(app, CHAT, { ...hello, stream: true }),
  ];
  for (const { headers, body } of answers) {
    assertEquals(headers.get("x-content-type-options"), "nosniff");
    assertEquals(headers.get("x-frame-options"), "DENY");
    assertStringIncludes(headers.get("x-request-id") ?? "", "req_");
    await body?.cancel();
  }
});

Deno.test("createApp() reports failures of its own under the request's id", async () => {
  const seen: unknown[] = [];
  const failure = new Error("registry broke");
  const app = createApp({
    models: {
      state: "ready",
      acquire: () => Promise.reject(failure),
      list: () => [new ScriptedModel()],
    },
    onError: (error, requestId) => seen.push([error, requestId]),
  });
  const response = await post(app, CHAT, hello, { headers: { "x-request-id": "me" } });
  assertEquals(response.status, 500);
  assertEquals((await response.json()).error.type, "server_error");
  assertEquals(seen, [[failure, "me"]]);
});

Deno.test("errors before a route have the shape of the API that was called", async () => {
  const lifecycle = new Lifecycle();
  const { app } = testApp({}, {
    apiKeys: new ApiKeys(["key"]),
    bodyBytesMax: 100,
    lifecycle,
  });
  const keyed = { authorization: "Bearer key" };
  const post = (path: string, headers: HeadersInit, body = "{}") =>
    app.request(path, { method: "POST", headers, body });
  const seen = async (path: string, unknown: string) => {
    const answers = [
      await post(path, { host: "evil.example" }),
      await post(path, { ...keyed, origin: "https://evil.example" }),
      await post(path, {}),
      await post(unknown, keyed),
      await app.request(path, { headers: keyed }),
      await post(path, keyed, JSON.stringify({ model: "x".repeat(200) })),
    ];
    return await Promise.all(
      answers.map(async (answer) => [answer.status, typeof (await answer.json()).error]),
    );
  };
  const statuses = [403, 403, 401, 404, 405, 413];
  const all = (type: string) => statuses.map((status) => [status, type]);
  assertEquals(await seen("/api/chat", "/api/nothing"), all("string"));
  assertEquals(await seen(CHAT, "/v1/nothing"), all("object"));
  lifecycle.drain();
  const leaving = async (path: string) => {
    const answer = await post(path, keyed);
    return [answer.status, typeof (await answer.json()).error, answer.headers.has("retry-after")];
  };
  assertEquals(await leaving("/api/chat"), [503, "string", true]);
  assertEquals(await leaving(CHAT), [503, "object", true]);
});
