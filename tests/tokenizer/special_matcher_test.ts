import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type SpecialMatch, SpecialMatcher } from "../../src/tokenizer/special_matcher.ts";
import { fuzzRuns } from "../support/fuzz.ts";

Deno.test("find() gives the leftmost match, and the longest that begins there", () => {
  const text = fc.array(fc.constantFrom("<", "|", "a", "😀", "\uffff")).map((units) =>
    units.join("")
  );
  fc.assert(
    fc.property(fc.array(text), text, (specials, text) => {
      const entries = specials.map((special, id) => ({ text: special, id }));
      const matcher = new SpecialMatcher(entries);
      for (let from = 0; from <= text.length; from++) {
        assertEquals(matcher.find(text, from), naive(specials, text, from));
      }
    }),
    fuzzRuns(100),
  );
});

function naive(specials: readonly string[], text: string, from: number): SpecialMatch | null {
  for (let begin = from; begin < text.length; begin++) {
    const here = specials.filter((special) => special !== "" && text.startsWith(special, begin));
    if (here.length === 0) continue;
    const longest = here.reduce((a, b) => b.length > a.length ? b : a);
    return { id: specials.indexOf(longest), begin, end: begin + longest.length };
  }
  return null;
}
