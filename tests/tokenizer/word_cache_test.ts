import { assertEquals } from "@std/assert";
import { WordCache } from "../../src/tokenizer/word_cache.ts";

Deno.test("WordCache keeps what is used and forgets what is not", () => {
  const cache = new WordCache();
  cache.set("often", [1]);
  cache.set("once", [2]);
  for (let i = 0; i < 100_000; i++) {
    cache.set(`word ${i}`, [i]);
    if (i % 1000 === 0) assertEquals(cache.get("often"), [1]);
  }
  assertEquals(cache.get("once"), undefined);
  assertEquals(cache.get("word 99999"), [99_999]);
  assertEquals(cache.get("word 0"), undefined);
});

Deno.test("WordCache does not keep long words", () => {
  const cache = new WordCache();
  const text = "a word of more than thirteen letters".repeat(100);
  cache.set(text, [1]);
  cache.set(text.slice(0, 30), [2]);
  assertEquals(cache.get(text), undefined);
  assertEquals(cache.get(text.slice(0, 30)), [2]);
});
