import { assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { CHAT, hello, post, testApp } from "./http_client.ts";

// fault 47: Host of a rebinding site, requests of other sites' pages.
Deno.test("guards() refuse names that are not this server's, against DNS rebinding", async () => {
  const { app } = testApp({}, { hostname: "box.lan", allowedHosts: ["Chat.Example"] });
  const statuses = async (hosts: string[]) =>
    await Promise.all(hosts.map(async (host) => {
      return (await app.request("/health", { headers: { host } })).status;
    }));
  const own = ["localhost", "LOCALHOST:11711", "127.0.0.1:1", "[::1]:80", "192.168.1.7", "box.lan"];
  assertEquals(await statuses([...own, "chat.example:443"]), Array(7).fill(200));
  const foreign = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "a b",
    "[x]",
  ];
  assertEquals(await statuses(foreign), Array(5).fill(403));
  const any = testApp({}, { allowedHosts: ["*"] });
  assertEquals((await any.app.request("/health", { headers: { host: "any" } })).status, 200);
});

Deno.test("guards() refuse other sites' pages, and answer those that are allowed", async () => {
  const { app, model } = testApp({}, { allowedOrigins: ["https://ok.example"] });
  const send = (origin: string) =>
    post(app, CHAT, hello, { headers: { host: "localhost:5", origin } });
  const foreign = ["https://evil.example", "null", "http://localhost:6", "localhost:5"];
  foreign.push("https://app://x", "file://", "chrome-extension://x", "xapp://x", "tauri:x");
  for (const origin of foreign) {
    const response = await send(origin);
    assertEquals(response.status, 403);
    assertEquals((await response.json()).error.code, "origin_not_allowed");
    assertEquals(response.headers.get("access-control-allow-origin"), null);
  }
  assertEquals(model.requests, []);
  assertEquals((await send("http://localhost:5")).status, 200);
  const allowed = await send("https://ok.example");
  assertEquals(allowed.status, 200);
  assertEquals(allowed.headers.get("access-control-allow-origin"), "https://ok.example");
  const read = await app.request("/health", { headers: { origin: "https://evil.example" } });
  assertEquals([read.status, read.headers.get("access-control-allow-origin")], [200, null]);
});

Deno.test("guards() let in programs with windows of their own, whose origins no site has", async () => {
  const { app } = testApp();
  for (const origin of ["app://obsidian.md", "tauri://localhost", "vscode-webview://0a1b2c"]) {
    const { status, headers } = await post(app, CHAT, hello, { headers: { origin } });
    assertEquals([status, headers.get("access-control-allow-origin")], [200, origin]);
  }
});

Deno.test("guards() answer preflights of allowed origins only", async () => {
  const { app } = testApp({}, { allowedOrigins: ["https://ok.example"] });
  const ask = (origin: string, more: Record<string, string> = {}) =>
    app.request(CHAT, { method: "OPTIONS", headers: { origin, ...more } });
  const allowed = await ask("https://ok.example");
  assertEquals(allowed.status, 204);
  assertStringIncludes(allowed.headers.get("access-control-allow-headers") ?? "", "content-type");
  assertEquals((await ask("https://evil.example")).status, 403);
  // OpenAI's and Anthropic's clients run in pages, too.
  const asked = "anthropic-version,x-stainless-arch, X-Stainless-OS,x-stainless-é,cookie,x-evil";
  const known = await ask("https://ok.example", { "access-control-request-headers": asked });
  const names = (known.headers.get("access-control-allow-headers") ?? "").split(", ");
  assertEquals(asked.split(/, */).filter((name) => names.includes(name)), [
    ...["anthropic-version", "x-stainless-arch", "X-Stainless-OS"],
  ]);
});

Deno.test("requestIds() keep a client's id if it is harmless, and make one if not", async () => {
  const { app } = testApp();
  const idOf = async (given: string) =>
    (await app.request("/nowhere", { headers: { "x-request-id": given } })).headers
      .get("x-request-id") ?? "";
  assertEquals(await idOf("abc-1.2_3"), "abc-1.2_3");
  for (const bad of ["", "a b", "x".repeat(65), `"{}`]) {
    assertMatch(await idOf(bad), /^req_[\w-]+$/);
  }
  assertNotEquals(await idOf(""), await idOf(""));
});
