/** Patterns that look ahead, and multiples: JavaScript and whole numbers are the judges. */
import fc from "fast-check";
import { assertEquals } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { judgeBy, matcherOf, schema } from "./tiny.ts";

/** Patterns over few letters, with what looks ahead where that is supported. */
const { pattern } = fc.letrec<{ pattern: string; loop: string }>((tie) => {
  const atom = fc.constantFrom("a", "b", ".", "[ab]", "[^a]", "\\d", "é", "");
  const count = fc.constantFrom("*", "+", "{2}", "{1,3}", "?");
  return {
    // What repeats has nothing in it that looks around.
    loop: fc.oneof(
      { maxDepth: 2 },
      atom,
      fc.tuple(tie("loop"), tie("loop")).map(([a, b]) => a + b),
      fc.tuple(tie("loop"), tie("loop")).map(([a, b]) => `(?:${a}|${b})`),
    ),
    pattern: fc.oneof(
      { maxDepth: 4 },
      atom,
      fc.tuple(tie("loop"), count).map(([a, n]) => `(?:${a})${n}`),
      fc.tuple(tie("pattern"), tie("pattern")).map(([a, b]) => a + b),
      fc.tuple(tie("pattern"), tie("pattern")).map(([a, b]) => `(?:${a}|${b})`),
      fc.tuple(fc.constantFrom("?=", "?!"), tie("pattern"), fc.constantFrom("", "$"))
        .map(([kind, a, end]) => `(${kind}${a}${end})`),
      tie("pattern").map((a) => `(?:${a})?`),
    ),
  };
});
const texts = fc.array(
  fc.array(fc.constantFrom("a", "b", "1", "é", "c"), { maxLength: 6 }).map((all) => all.join("")),
  { minLength: 8, maxLength: 8 },
);

Deno.test("strings of several patterns that look ahead are those that JavaScript finds to match", () => {
  let count = 0;
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 1, maxLength: 2 }), texts, (patterns, texts) => {
      const anchored = patterns.map((each) => `^(?=.?)${each}$`);
      const source = schema({ type: "string", allOf: anchored.map((each) => ({ pattern: each })) });
      const judges = anchored.map((each) => new RegExp(each, "u"));
      try {
        matcherOf(source);
      } catch (error) {
        // No text of any length is meant by some of them.
        if (!(error instanceof RequestError) || !error.message.includes("no text is all")) {
          throw error;
        }
        for (const text of texts) assertEquals(judges.every((each) => each.test(text)), false);
        return;
      }
      for (const text of texts) {
        const isMeant = judges.every((each) => each.test(text));
        assertEquals(
          judgeBy(matcherOf(source), `"${text}"`) === "yes",
          isMeant,
          `${text} ${anchored}`,
        );
        if (isMeant) count++;
      }
    }),
    { numRuns: 200, seed: 7 },
  );
  assertEquals(count > 100, true, `${count} texts matched`);
});

Deno.test("multiples are those of whole numbers of the last digit's place, within all bounds", () => {
  const digits = fc.integer({ min: 1, max: 60 });
  const places = fc.integer({ min: 0, max: 2 });
  const value = fc.integer({ min: -3000, max: 3000 });
  fc.assert(
    fc.property(
      digits,
      places,
      fc.array(value, { minLength: 12, maxLength: 12 }),
      (units, p, all) => {
        const scale = 10 ** p;
        const [low, high] = all.slice(0, 2).sort((a, b) => a - b);
        const source = schema({
          ...{ type: "number", multipleOf: Number((units / scale).toFixed(p)) },
          ...{ minimum: (low - 9) / scale, maximum: (high + 9) / scale },
        });
        const matched = all.map((each) => judgeBy(matcherOf(source), (each / scale).toFixed(p)));
        assertEquals(
          matched.map((each) => each === "yes"),
          all.map((each) => each % units === 0 && each >= low - 9 && each <= high + 9),
          `${units} ${p} ${low} ${high}: ${all}`,
        );
      },
    ),
    { numRuns: 40, seed: 7 },
  );
});
