import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { buildPage } from "../../src/page/build.ts";
import { SCRIPT_PATH, STYLE_PATH, VENDOR_PATH } from "../../src/server/page.ts";
import { testApp } from "./http_client.ts";

Deno.test("GET / is a document whose policy lets it load its own script and style, no more", async () => {
  const response = await testApp().app.request("/");
  assertEquals(response.headers.get("content-type"), "text/html; charset=utf-8");
  const policy = response.headers.get("content-security-policy") ?? "";
  for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'"]) {
    assertStringIncludes(policy, rule);
  }
  assertStringIncludes(policy, "require-trusted-types-for 'script'");
  assertFalse(/unsafe|\*|https?:/.test(policy));
  const html = await response.text();
  assertFalse(/<script(?![^>]*\ssrc=)|<style|\s(on\w+|style)=/i.test(html), "nothing is inline");
});

Deno.test("GET / names scripts and style by their content, and all are there to be kept", async () => {
  const { app } = testApp();
  const html = await (await app.request("/")).text();
  for (const path of [SCRIPT_PATH, VENDOR_PATH, STYLE_PATH]) {
    const type = path === STYLE_PATH ? "text/css" : "text/javascript";
    const named = new RegExp(`"(${path.replace(".", "\\.")}\\?v=[0-9a-f]{16})"`).exec(html)?.[1];
    assert(named !== undefined, path);
    const response = await app.request(named);
    assertStringIncludes(response.headers.get("content-type")!, type);
    assertMatch(response.headers.get("cache-control")!, /immutable/);
    assert((await response.text()).length > 10_000);
  }
});

Deno.test("the script imports its libraries by the address that GET / has begun to load", async () => {
  const { app } = testApp();
  const html = await (await app.request("/")).text();
  const script = await (await app.request(SCRIPT_PATH)).text();
  const imported = [...script.matchAll(/\bfrom\s*"([^"]+)"/g)].map(([, address]) => address);
  assertEquals(imported.length, 1);
  assertStringIncludes(html, `<link rel="modulepreload" href="${imported[0]}">`);
  assertEquals(imported[0].split("?")[0], VENDOR_PATH);
});

Deno.test("script and style of another version than asked for are not to be kept", async () => {
  const { app } = testApp();
  for (const path of [SCRIPT_PATH, VENDOR_PATH, STYLE_PATH]) {
    for (const query of ["", "?v=", "?v=0123456789abcdef", "?w=1"]) {
      const { headers } = await app.request(path + query);
      assertEquals(headers.get("cache-control"), "no-cache", path + query);
    }
  }
});

Deno.test("src/page/built is what src/page/build.ts makes, licences of packages in it", async () => {
  for (const [name, text] of Object.entries(await buildPage())) {
    const url = new URL(`../../src/page/built/${name}`, import.meta.url);
    assert(await Deno.readTextFile(url) === text, `${name} is stale: deno task build:page`);
  }
  const [libraries, script] = await Promise.all(
    ["vendor.js", "chat.js"].map((name) =>
      Deno.readTextFile(new URL(`../../src/page/built/${name}`, import.meta.url))
    ),
  );
  for (const name of ["Jason Miller", "Christopher Jeffrey", "Ivan Sagalaev", "Cure53"]) {
    assertStringIncludes(libraries, name);
  }
  // What is a library's is there alone.
  for (const name of ["Cure53", "hljs-", "diffed", "blockquote>"]) {
    assertStringIncludes(libraries, name);
    assertFalse(script.includes(name), name);
  }
});
