import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { BARE_CALL, type CallFormat } from "../../../src/server/tools/call_format.ts";
import type { Delta } from "../../../src/server/tools/answer_parser.ts";
import { CallParser } from "../../../src/server/tools/call_parser.ts";
import { BARE_NAME_CALL } from "../../../src/server/tools/named_call.ts";
import { thoughtMarksOf, ThoughtParser } from "../../../src/server/tools/thought_parser.ts";

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

const BRACKETS = { open: "[THINK]", close: "[/THINK]", closing: "[/THINK]" };

Deno.test("ThoughtParser reads marks that are control tokens, which have no text", () => {
  const controls = new Map([[7, "[THINK]"], [8, "[/THINK]"]]);
  const read = (isOpened: boolean, pieces: readonly (readonly [string, number])[]) => {
    const parser = new ThoughtParser({ isOpened, marks: BRACKETS, controls });
    const deltas = pieces.flatMap(([text, id]) => parser.push(text, [id]));
    return [...deltas, ...parser.end()];
  };
  const answer = [
    { kind: "reasoning", text: "Hm" },
    { kind: "reasoning", text: ", m" },
    { kind: "text", text: "Hello" },
  ] as const;
  const rest = [["Hm", 1], [", m ", 1], ["", 8], ["\n", 1], ["Hello", 1]] as const;
  assertEquals(read(false, [["", 7], ...rest]), [...answer]);
  assertEquals(read(true, rest), [...answer]);
  assertEquals(read(false, [["Hello", 1], ["", 7], [".", 1]]).map(textOf).join(""), "Hello.");
  assertEquals(thoughtMarksOf("{{ '[THINK]' + m.thinking + '[/THINK]' }}"), BRACKETS);
  const cohere = thoughtMarksOf("<|START_THINKING|>{{ m }}<|END_THINKING|>");
  assertEquals(cohere?.close, "<|END_THINKING|>");
});

Deno.test("ThoughtParser hands on control tokens that begin the answer, behind thoughts or at once", () => {
  const format: CallFormat = {
    ...{ ...BARE_CALL, open: "[TOOL_CALLS]", named: BARE_NAME_CALL },
    controls: new Map([[5, "[TOOL_CALLS]"]]),
  };
  for (const before of [[["\n", 1]], [["<think>Hm</think>", 1], ["\n", 1]], []] as const) {
    const answer = new CallParser({ format, isKnown: () => true });
    const parser = new ThoughtParser({ isOpened: false, answer });
    const pieces = [...before, ["", 5], ["f{}", 1]] as const;
    const kinds = pieces.flatMap(([text, id]) => parser.push(text, [id])).map(({ kind }) => kind);
    assertEquals(kinds.filter((kind) => kind !== "text"), [
      ...before.length > 1 ? ["reasoning" as const] : [],
      ...["call", "arguments"] as const,
    ]);
  }
});

function textOf(delta: Delta): string {
  return "text" in delta ? delta.text : "";
}

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
