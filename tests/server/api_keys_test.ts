import { assertEquals, assertStringIncludes } from "@std/assert";
import { ApiKeys } from "../../src/server/mod.ts";
import { CHAT, hello, post, testApp } from "./http_client.ts";

Deno.test("ApiKeys knows its keys and no others, and can be given new ones", () => {
  const keys = new ApiKeys(["one", "zwei€"]);
  assertEquals(["one", "zwei€", "on", "one ", ""].map((key) => keys.has(key)), [
    ...[true, true],
    ...[false, false, false],
  ]);
  keys.replace(["three"]);
  assertEquals([keys.has("one"), keys.has("three"), keys.isEmpty], [false, true, false]);
  assertEquals(new ApiKeys().isEmpty, true);
});

Deno.test("ApiKeys compares whole keys, however long", () => {
  const key = "k".repeat(1000);
  const keys = new ApiKeys(["a", key]);
  assertEquals(keys.has(key.slice(0, -1) + "x"), false);
  assertEquals(keys.has(key), true);
});

// fault 48: wrong and missing keys.
Deno.test("requireKey() answers 401 without a key that is known, by either header", async () => {
  const { app, model } = testApp({}, { apiKeys: new ApiKeys(["secret", "other"]) });
  const send = async (headers: Record<string, string>, path = CHAT) => {
    const response = await post(app, path, hello, { headers });
    const { error } = await response.json();
    return [response.status, error?.code ?? null];
  };
  assertEquals(await send({}), [401, "missing_api_key"]);
  assertEquals(await send({ authorization: "Basic secret" }), [401, "missing_api_key"]);
  assertEquals(await send({ authorization: "Bearer wrong" }), [401, "invalid_api_key"]);
  assertEquals(await send({ "x-api-key": "secre" }), [401, "invalid_api_key"]);
  assertEquals(await send({}, "/nowhere"), [401, "missing_api_key"]);
  assertEquals(model.requests.length, 0);
  assertEquals(await send({ authorization: "Bearer secret" }), [200, null]);
  assertEquals(await send({ authorization: "bearer  other " }), [200, null]);
  assertEquals(await send({ "x-api-key": "other" }), [200, null]);
});

Deno.test("requireKey() leaves the page and health to everybody, and nothing else", async () => {
  const { app } = testApp({}, { apiKeys: new ApiKeys(["secret"]) });
  for (const path of ["/", "/health", "/livez", "/readyz"]) {
    const response = await app.request(path);
    assertEquals(response.status, 200, path);
    await response.body?.cancel();
  }
  const posted = await post(app, "/", { inputs: "a" });
  assertEquals([posted.status, (await posted.json()).error.code], [401, "missing_api_key"]);
  for (const path of ["/metrics", "/models", "/v1/models", "/health/x", "//health"]) {
    const response = await app.request(path);
    assertEquals(response.status, 401, path);
    assertEquals(response.headers.get("www-authenticate"), "Bearer");
    assertEquals((await response.text()).includes("secret"), false);
  }
});

Deno.test("requireKey() does not stand in the way of an allowed site's preflight", async () => {
  const options = { apiKeys: new ApiKeys(["secret"]), allowedOrigins: ["https://ok.example"] };
  const { app } = testApp({}, options);
  const headers = { origin: "https://ok.example" };
  const preflight = await app.request(CHAT, { method: "OPTIONS", headers });
  assertEquals(preflight.status, 204);
  assertStringIncludes(preflight.headers.get("access-control-allow-headers") ?? "", "x-api-key");
  const response = await post(app, CHAT, hello, { headers });
  assertEquals(response.status, 401);
  // Its page may read why.
  assertEquals(response.headers.get("access-control-allow-origin"), "https://ok.example");
});
