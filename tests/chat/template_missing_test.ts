/** What templates do with members that functions of clients do not have. */
import { assertEquals, assertThrows } from "@std/assert";
import { createChatTemplate } from "../../src/chat/mod.ts";
import { RequestError } from "../../src/base/errors.ts";

function rendered(template: string): string {
  const source = { template, bosText: "", eosText: "", specialTexts: [] };
  const tools = [{ name: "f", none: null, list: [1, null], map: { a: "b" } }];
  return createChatTemplate(source).render([{ role: "user", content: "Hi" }], { tools });
}

Deno.test("what a function does not have is no text, as Jinja writes it", () => {
  const cases = [
    ["{{ '// ' + tools[0].description + '.' }}", "// ."],
    ["{{ tools[0].description + '.' }}", "."],
    ["{{ 'a' ~ tools[0].description ~ 1 ~ tools[0].none }}", "a1None"],
    ["{{ tools[0].description in ('a', 'b') }}", "false"],
    ["{{ tools[0].description not in ['a'] }}", "true"],
    ["{{ 'a' in tools[0].description }}", "false"],
    ["{{ tools[0].none in tools[0].list }}", "true"],
    ["{{ tools[0].none not in ['a'] }}", "true"],
    ["{{ tools[0].description in tools[0].list }}", "false"],
    ["{{ tools[0].map[tools[0].description] is defined }}", "false"],
    ["{{ tools[0].map[tools[0].none] is defined }}", "false"],
    ["{{ tools[0].list[tools[0].description] is defined }}", "false"],
    ["{% set key = 'a' %}{{ tools[0].map[key] }}{{ tools[0]['map']['a'] }}", "bb"],
    ["{{ tools[0].list[-2] }}{{ tools[0].list[1 - 1] }}{{ messages[0:1][0].role }}", "11user"],
  ];
  for (const [template, text] of cases) assertEquals(rendered(template), text, template);
});

Deno.test("what is missing is no number, and none is no text, as in Jinja", () => {
  for (const template of ["{{ tools[0].description + 1 }}", "{{ 'a' + tools[0].none }}"]) {
    assertThrows(() => rendered(template), RequestError, "chat template");
  }
});
