import { assert, assertEquals, assertFalse, assertLess, assertStringIncludes } from "@std/assert";
import { makeBlocks } from "../../../src/page/text/markdown_blocks.ts";

const htmlOf = (text: string) => makeBlocks(text, [], (html) => html).map(({ html }) => html);

const HOSTILE = {
  "quotations on one line": ">".repeat(5000),
  "quotations with spaces": "> ".repeat(5000) + "a",
  "lists on one line": "- ".repeat(5000) + "a",
  "numbered lists on one line": "1. ".repeat(5000) + "a",
  "lists line by line": Array.from({ length: 2000 }, (_, i) => " ".repeat(2 * i) + "- a").join(
    "\n",
  ),
  "open brackets": "[".repeat(5000),
  "links in links": "[".repeat(5000) + "a" + "](b)".repeat(5000),
  "pictures": "![".repeat(5000),
  "stars": "*".repeat(5000),
  "stars around words": "*a **b ".repeat(2000),
  "underscores": "_a ".repeat(5000),
  "ticks": "`".repeat(5000),
  "tildes": "~~a ".repeat(5000),
  "bars": "|".repeat(5000) + "\n" + "|-".repeat(5000),
  "angles": "<".repeat(5000),
  "spaces": " ".repeat(5000) + "a",
};

for (const [what, text] of Object.entries(HOSTILE)) {
  Deno.test(`makeBlocks() shows thousands of ${what}, quickly`, () => {
    const startMs = performance.now();
    const html = htmlOf(text).join("");
    assert(html !== "");
    assertLess((html.match(/<(blockquote|ul|ol|em|strong)\b/g) ?? []).length, 10_000);
    assertLess(performance.now() - startMs, 2000);
  });
}

Deno.test("makeBlocks() shows what is too deep or too long as it is, and never as HTML", () => {
  for (
    const text of [`${">".repeat(40)} <b>&`, `${" ".repeat(80)}- <b>&`, "<b>&".repeat(2 ** 17)]
  ) {
    const [html, ...rest] = htmlOf(text);
    assertEquals(rest, []);
    assertStringIncludes(html, "&#60;b&#62;&#38;");
    assert(html.startsWith('<p class="plain">'));
    assertFalse(html.includes("<b>"));
  }
});

Deno.test("makeBlocks() marks what is to do and what is done, for a list without dots", () => {
  const [html] = htmlOf("- [ ] a\n- [x] b");
  assertStringIncludes(html, '<span class="check">☐ </span>a');
  assertStringIncludes(html, '<span class="check">☑ </span>b');
});

Deno.test("makeBlocks() takes quotations and lists of some levels as they are meant", () => {
  assertStringIncludes(htmlOf("> > > a")[0], "<blockquote>\n<blockquote>\n<blockquote>");
  const list = Array.from({ length: 20 }, (_, level) => `${"  ".repeat(level)}- a`).join("\n");
  assertEquals(htmlOf(list)[0].match(/<ul>/g)!.length, 20);
});
