import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { testApp } from "./http_client.ts";

async function page() {
  const response = await testApp().app.request("/");
  return { html: await response.text(), headers: response.headers, status: response.status };
}

Deno.test("the page's policy allows its own script and style, and nothing else", async () => {
  const { html, headers, status } = await page();
  assertEquals([status, headers.get("content-type")], [200, "text/html; charset=utf-8"]);
  const policy = headers.get("content-security-policy") ?? "";
  for (const kind of ["script", "style"]) {
    const inline = [...html.matchAll(new RegExp(`<${kind}[^>]*>([\\s\\S]*?)</${kind}>`, "g"))];
    assertEquals(inline.length, 1);
    assert(inline[0][1].length > 1000);
    const digest = createHash("sha256").update(inline[0][1]).digest("base64");
    assertStringIncludes(policy, `${kind}-src 'sha256-${digest}'`);
  }
  assertStringIncludes(policy, "default-src 'none'");
  assertStringIncludes(policy, "connect-src 'self'");
  assertFalse(/unsafe|\*|https?:/.test(policy));
});

Deno.test("the page loads nothing from elsewhere and has no inline handlers", async () => {
  const { html } = await page();
  assertFalse(/\ssrc=|@import|url\((?!["']?data:)/i.test(html));
  assertFalse(/<[^>]+\s(on\w+|style)=/i.test(html));
  assertFalse(/\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval)\b/.test(html));
});

Deno.test("every control of the page has a name for screen readers", async () => {
  const { html } = await page();
  const body = html.slice(html.indexOf("<body"), html.indexOf("<script"));
  const controls = [...body.matchAll(/<(input|textarea|select)\b([^>]*)>/g)];
  assert(controls.length >= 4);
  for (const [tag, , attributes] of controls) {
    const id = /\sid="([^"]+)"/.exec(attributes)?.[1];
    assert(/aria-label=/.test(attributes) || body.includes(`for="${id}"`), tag);
  }
  for (
    const [tag, attributes, content] of body.matchAll(/<button\b([^>]*)>([\s\S]*?)<\/button>/g)
  ) {
    const text = content.replace(/<svg[\s\S]*?<\/svg>|<[^>]*>/g, "").trim();
    assert(/aria-label=/.test(attributes) || text !== "", tag);
  }
  assertStringIncludes(html, `<html lang="en"`);
  assertStringIncludes(html, `name="viewport"`);
});
