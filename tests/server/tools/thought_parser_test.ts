import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Delta } from "../../../src/server/tools/call_parser.ts";
import { ThoughtParser } from "../../../src/server/tools/thought_parser.ts";

/** Thoughts and text of `pieces`. */
function parse(pieces: readonly string[], isOpened = false): [reasoning: string, text: string] {
  const parser = new ThoughtParser({ isOpened });
  const deltas: Delta[] = [...pieces.flatMap((piece) => parser.push(piece)), ...parser.end()];
  const of = (kind: Delta["kind"]) =>
    deltas.map((each) => each.kind === kind && "text" in each ? each.text : "").join("");
  return [of("reasoning"), of("text")];
}

const CASES: readonly (readonly [string, boolean, string, string])[] = [
  ["Hello", false, "", "Hello"],
  [" \n", false, "", " \n"],
  ["<think>\nWell, <b>\n\n</think>\n\nHello </think>", false, "Well, <b>", "Hello </think>"],
  ["\n<think></think>Hello", false, "", "Hello"],
  ["<think>cut off ", false, "cut off", ""],
  ["<think>cut </thi", false, "cut </thi", ""],
  ["<thin", false, "", "<thin"],
  ["<thing>", false, "", "<thing>"],
  ["Text <think>no</think>", false, "", "Text <think>no</think>"],
  ["opened\n</think>\nHello", true, "opened", "Hello"],
  ["opened", true, "opened", ""],
];

Deno.test("ThoughtParser tells thoughts from the answer", () => {
  for (const [written, isOpened, reasoning, text] of CASES) {
    assertEquals(parse([written], isOpened), [reasoning, text], written);
  }
});

Deno.test("ThoughtParser finds the same however the text is cut", () => {
  const piece = fc.constantFrom(
    "<think>",
    "</think>",
    "<",
    "</",
    "think",
    ">",
    " ",
    "\n",
    "a",
    "é",
  );
  const written = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join("")),
    fc.constantFrom(...CASES.map(([text]) => text)),
  );
  fc.assert(
    fc.property(written, fc.boolean(), fc.integer({ min: 1, max: 7 }), (text, isOpened, length) => {
      const pieces = text.match(new RegExp(`[^]{1,${length}}`, "gu")) ?? [];
      assertEquals(parse(pieces, isOpened), parse([text], isOpened));
    }),
    { numRuns: 2000, seed: 9 },
  );
});
