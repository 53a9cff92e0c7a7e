import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { RequestError } from "../../src/base/errors.ts";
import { createSpecialTextBreaker } from "../../src/tokenizer/special_breaker.ts";
import { mapStrings } from "../../src/chat/special_text.ts";
import { SPECIAL_TOKEN_BREAKER as B } from "../../src/tokenizer/types.ts";
import { fuzzRuns } from "../support/fuzz.ts";

Deno.test("createSpecialTextBreaker() breaks every spelling, overlapping ones too", () => {
  const breakSpecials = createSpecialTextBreaker(["ab", "bc", "</s>", "🙂x", "."]);
  assertEquals(breakSpecials("abc"), `a${B}b${B}c`);
  assertEquals(breakSpecials("</s></s>"), `<${B}/s><${B}/s>`);
  assertEquals(breakSpecials("🙂x"), `🙂${B}x`);
  assertEquals(breakSpecials("plain. a.b"), "plain. a.b");
});

Deno.test("createSpecialTextBreaker() makes text well-formed, so only it adds breakers", () => {
  const breakSpecials = createSpecialTextBreaker(["</s>"]);
  assertEquals(breakSpecials(`<${B}/s>`), "<\uFFFD/s>");
  assertEquals(createSpecialTextBreaker([])(`a${B}`), "a\uFFFD");
});

Deno.test("createSpecialTextBreaker() leaves no special text, and loses nothing", () => {
  const specials = ["<|a|>", "<|a", "|>", "<<", "aa", "|a|"];
  const breakSpecials = createSpecialTextBreaker(specials);
  const text = fc.array(fc.constantFrom("<", "|", "a", ">", "🙂", " "), { maxLength: 40 });
  fc.assert(
    fc.property(text, (pieces) => {
      const given = pieces.join("");
      const broken = breakSpecials(given);
      assertEquals(specials.filter((special) => broken.includes(special)), []);
      assertEquals(broken.replaceAll(B, ""), given);
    }),
    fuzzRuns(100),
  );
});

Deno.test("mapStrings() changes keys and values at every level, and refuses deep ones", () => {
  const loud = (text: string) => text.toUpperCase();
  assertEquals(mapStrings({ a: ["b", 1, null, { c: true }] }, loud), {
    A: ["B", 1, null, { C: true }],
  });
  let deep: unknown = "x";
  for (let i = 0; i < 65; i++) deep = [deep];
  assertThrows(() => mapStrings(deep, loud), RequestError, "nests deeper");
});
