import { assertEquals } from "@std/assert";
import { tableAsMarkdown, tableAsText } from "./table.ts";

const TABLE = { title: "Speeds", head: ["engine", "tok/s"], rows: [["a|b", "1"], ["é", "22"]] };

Deno.test("tableAsText() aligns columns by characters", () => {
  assertEquals(tableAsText(TABLE), "Speeds\nengine  tok/s\na|b     1\né       22");
});

Deno.test("tableAsMarkdown() keeps bars within their cells", () => {
  assertEquals(
    tableAsMarkdown(TABLE),
    "**Speeds**\n\n| engine | tok/s |\n|---|---|\n| a\\|b | 1 |\n| é | 22 |",
  );
});
