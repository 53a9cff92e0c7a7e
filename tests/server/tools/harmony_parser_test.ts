import { assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import type { Delta } from "../../../src/server/tools/answer_parser.ts";
import { type HarmonyMark, MARK_TEXTS } from "../../../src/server/tools/harmony_marks.ts";
import {
  HarmonyParser,
  type HarmonyParserOptions,
} from "../../../src/server/tools/harmony_parser.ts";

const TEXTS = Object.keys(MARK_TEXTS);
const marks = new Map<number, HarmonyMark>(TEXTS.map((text, id) => [id, MARK_TEXTS[text]]));
const SPLIT = new RegExp(`(${TEXTS.map(RegExp.escape).join("|")})`);

interface Read {
  readonly reasoning: string;
  readonly text: string;
  readonly calls: readonly (readonly [name: string, json: string])[];
}

/** What is read of an answer, marks spelt out, whose text comes in pieces of so many characters. */
function read(written: string, more: Partial<HarmonyParserOptions> = {}, length = 1000): Read {
  const parser = new HarmonyParser({ marks, opening: "", isKnown: () => false, ...more });
  const deltas: Delta[] = [];
  for (const part of written.split(SPLIT)) {
    if (TEXTS.includes(part)) deltas.push(...parser.push("", [TEXTS.indexOf(part)]));
    else {
      const pieces = part.match(new RegExp(`[^]{1,${length}}`, "gu")) ?? [];
      deltas.push(...pieces.flatMap((piece) => parser.push(piece, [100])));
    }
  }
  deltas.push(...parser.end());
  const of = (kind: Delta["kind"]) =>
    deltas.map((each) => each.kind === kind && "text" in each ? each.text : "").join("");
  const calls: [string, string][] = [];
  for (const delta of deltas) {
    if (delta.kind === "call") {
      assertMatch(delta.id, /^call_[0-9a-f]{24}$/);
      calls[delta.call] = [delta.name, ""];
    } else if (delta.kind === "arguments") calls[delta.call][1] += delta.text;
  }
  assertEquals(parser.callCount, calls.length);
  return { reasoning: of("reasoning"), text: of("text"), calls };
}

const NOTHING: Read = { reasoning: "", text: "", calls: [] };
const ANALYSIS = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant";
const CASES: readonly (readonly [string, Read])[] = [
  [`${ANALYSIS}<|channel|>final<|message|>Hello`, { ...NOTHING, reasoning: "Hm.", text: "Hello" }],
  ["<|channel|>final<|message|>Hello<|return|>", { ...NOTHING, text: "Hello" }],
  ["<|message|>Hello", { ...NOTHING, text: "Hello" }],
  [
    `${ANALYSIS}<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": 1}<|call|>`,
    { ...NOTHING, reasoning: "Hm.", calls: [["f", `{"a": 1}`]] },
  ],
  [
    `${ANALYSIS} to=functions.f.g<|channel|>commentary json<|message|>{}`,
    { ...NOTHING, reasoning: "Hm.", calls: [["f.g", "{}"]] },
  ],
  [" to=functions.f<|channel|>analysis code<|message|>", { ...NOTHING, calls: [["f", "{}"]] }],
  [
    "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant<|channel|>commentary " +
    'to=functions.f<|constrain|>json<|message|>{"a":[]}<|end|><|start|>assistant to=functions.g' +
    "<|channel|>commentary<|message|>{}",
    { ...NOTHING, text: "I look.", calls: [["f", '{"a":[]}'], ["g", "{}"]] },
  ],
  [
    `${ANALYSIS}<|channel|>analysis<|message|>Well.<|end|><|start|>assistant<|channel|>final` +
    "<|message|>A<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>{}",
    { ...NOTHING, reasoning: "Hm.\n\nWell.", text: "A\n\n{}" },
  ],
  [
    "<|channel|>commentary to=assistant<|message|>Hello",
    { ...NOTHING, text: "Hello" },
  ],
  [
    "<|channel|>analysis to=browser.search code<|message|>{}<|call|>",
    { ...NOTHING, reasoning: "{}" },
  ],
  [
    `<|channel|>analysis<|message|>Hm<|message|>m.<|end|><|message|>Hello`,
    { ...NOTHING, reasoning: "Hmm.", text: "Hello" },
  ],
  // Marks where none belongs: a call has arguments all the same, and a name.
  ...["<|message|>x", "<|channel|>final<|message|>x", "<|constrain|>json<|message|>x"].map((
    behind,
  ): readonly [string, Read] => [
    `<|channel|>commentary to=functions.f<|message|>${behind}`,
    { ...NOTHING, text: "x", calls: [["f", "{}"]] },
  ]),
  ["<|channel|>commentary to=functions.<|message|>{}", { ...NOTHING, reasoning: "{}" }],
  [
    `<|channel|>commentary to=functions.${"f".repeat(257)}<|message|>{}`,
    { ...NOTHING, reasoning: "{}" },
  ],
  [
    "<|channel|>commentary to=functions.__proto__<|message|>{}",
    { ...NOTHING, calls: [["__proto__", "{}"]] },
  ],
  ["No marks", { ...NOTHING, text: "No marks" }],
  ["<|channel|>anal", NOTHING],
  ["<|channel|>final", NOTHING],
  [`x${"y".repeat(2000)}`, { ...NOTHING, text: `x${"y".repeat(2000)}` }],
  ["", NOTHING],
];

Deno.test("HarmonyParser tells thoughts, text and calls by heads", () => {
  for (const [written, expected] of CASES) assertEquals(read(written), expected, written);
});

Deno.test("HarmonyParser finds the same however the text between marks is cut", () => {
  const part = fc.constantFrom(
    ...TEXTS,
    ...["analysis", "final", "commentary", " to=functions.f ", "assistant", "json", "{", "}", "é"],
  );
  const written = fc.oneof(
    fc.array(part, { maxLength: 16 }).map((parts) => parts.join("")),
    fc.constantFrom(...CASES.map(([text]) => text)),
  );
  fc.assert(
    fc.property(written, fc.integer({ min: 1, max: 7 }), (text, length) => {
      assertEquals(read(text, {}, length), read(text));
    }),
    { numRuns: 2000, seed: 9 },
  );
});

Deno.test("HarmonyParser goes on where the prompt's opening ends", () => {
  const final = { opening: "<|channel|>final<|message|>" };
  assertEquals(read("{}", final), { ...NOTHING, text: "{}" });
  const named = { opening: "<|channel|>commentary to=functions.f <|constrain|>json<|message|>" };
  assertEquals(read("{}", named), { ...NOTHING, calls: [["f", "{}"]] });
  const unnamed = { opening: "<|channel|>commentary to=functions." };
  assertEquals(read("g json<|message|>{}", unnamed), { ...NOTHING, calls: [["g", "{}"]] });
});

Deno.test("HarmonyParser knows calls of functions that are offered only, and so many", () => {
  const call = (name: string) =>
    `<|channel|>commentary to=${name}<|message|>{}<|end|><|start|>assistant`;
  assertEquals(read(call("functions.f"), { isKnown: null }), { ...NOTHING, reasoning: "{}" });
  assertEquals(read(call("f"), { isKnown: (name) => name === "f" }).calls, [["f", "{}"]]);
  assertEquals(read(call("f")).calls, []);
  const two = call("functions.f") + call("functions.g");
  assertEquals(read(two, { callsMax: 1 }), { ...NOTHING, calls: [["f", "{}"]] });
  const raw = read(`${ANALYSIS}<|channel|>final<|message|>Hello`, { rawThoughts: true });
  assertEquals(raw, { ...NOTHING, text: "Hm.\n\nHello" });
});

Deno.test("HarmonyParser passes on what comes at once", () => {
  const parser = new HarmonyParser({ marks, opening: "<|message|>", isKnown: null });
  assertEquals(parser.push("He", [100]), [{ kind: "text", text: "He" }]);
  assertEquals(parser.push("llo", [100]), [{ kind: "text", text: "llo" }]);
  const plain = new HarmonyParser({ marks, opening: "", isKnown: null });
  assertEquals(plain.push("y".repeat(1024)), []);
  assertEquals(plain.push("y"), [{ kind: "text", text: "y".repeat(1025) }]);
});
