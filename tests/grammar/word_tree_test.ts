import { assertEquals } from "@std/assert";
import { WordTree } from "../../src/grammar/word_tree.ts";

Deno.test("WordTree has each beginning once, and marks where strings end", () => {
  const texts = ["ab", "a", "abc", "b", "ab", "", "bc"];
  const tree = new WordTree(texts.map((text) => new TextEncoder().encode(text)));
  const found: string[] = [];
  const visit = (node: number, text: string) => {
    if (tree.ends[node]) found.push(text);
    for (let child = tree.first[node]; child > 0; child = tree.next[child]) {
      visit(child, text + String.fromCharCode(tree.bytes[child]));
    }
  };
  visit(0, "");
  assertEquals(found, ["", "a", "ab", "abc", "b", "bc"]);
  assertEquals(tree.size, 6);
});
