import { assert, assertEquals, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { buildTokenTrie } from "../../src/grammar/mod.ts";
import type { GrammarPart, GrammarSource } from "../../src/llm/types.ts";
import { idsIn, judge, matcherOf, vocabularyOf } from "./tiny.ts";

const parts = (parts: GrammarPart): GrammarSource => ({ kind: "parts", parts });
/** Markers first, and each character that the texts below have. */
const CHARS = [...'<|end>start{}:"a1 '];
const TRIE = buildTokenTrie(
  vocabularyOf(["<|end|>", "<|start|>", ...CHARS, "</s>"], {
    hidden: [0, 1],
    ends: [CHARS.length + 2],
  }),
);
const [END, START, LAST] = [0, 1, CHARS.length + 2];
const idsOf = (text: string) => [...text].map((char) => 2 + CHARS.indexOf(char));

/** Whether each of the ids may come, in order. */
function follows(source: GrammarSource, ids: readonly number[]): boolean {
  const matcher = matcherOf(source, TRIE);
  return ids.every((id) => {
    const isAllowed = matcher.allows(id);
    assertEquals(isAllowed, idsIn(matcher.mask()).includes(id));
    if (isAllowed) matcher.accept(id);
    return isAllowed;
  });
}

Deno.test("a grammar in parts is its parts, one after the other", () => {
  const source = parts({
    all: [
      "<",
      { repeat: { anyOf: ["a", "bc"] }, max: 2 },
      { until: "end" },
      { grammar: { kind: "jsonSchema", schema: { const: 1 } } },
      { grammar: { kind: "gbnf", text: 'root ::= x\nx ::= "!"' } },
      { repeat: { grammar: { kind: "json" } }, min: 1 },
    ],
  });
  assertEquals(judge(source, "<abc any end1!{}"), "yes");
  assertEquals(judge(source, '<end1!{"a": [1]}{}'), "yes");
  for (const text of ["<", "<abc any", "<end1!"]) assertEquals(judge(source, text), "begun");
  for (const text of ["a", "<end2", "<end1?", "<end1!a"]) assertEquals(judge(source, text), "no");
});

Deno.test("a repeated part may be parted by another", () => {
  const times = (min?: number, max?: number) =>
    parts({
      repeat: { anyOf: ["a", "b"] },
      between: ", ",
      ...(min !== undefined && { min }),
      ...(max !== undefined && { max }),
    });
  const texts = ["", "a", "a, b", "b, a, a"];
  const fitting = (source: GrammarSource) =>
    texts.map((text) => judge(source, text)).map((fits) => fits === "yes");
  assertEquals(fitting(times()), [true, true, true, true]);
  assertEquals(fitting(times(1)), [false, true, true, true]);
  assertEquals(fitting(times(2)), [false, false, true, true]);
  assertEquals(fitting(times(1, 1)), [false, true, false, false]);
  assertEquals(fitting(times(0, 2)), [true, true, true, false]);
  for (const text of ["a,b", "a, "]) assertEquals(judge(times(), text) === "yes", false);
});

Deno.test("a control token of a grammar in parts is read from that token alone", () => {
  const source = parts({ all: ["a", { token: "<|end|>" }, "a"] });
  assert(follows(source, [...idsOf("a"), END, ...idsOf("a"), LAST]));
  for (const other of [START, ...idsOf("<"), ...idsOf("a"), LAST]) {
    assert(!follows(source, [...idsOf("a"), other]));
  }
});

Deno.test("free text up to a control token has its spelling, other control tokens, and no other end", () => {
  const source = parts({ all: [{ until: { token: "<|end|>" } }, "a"] });
  assert(follows(source, [...idsOf("1<|end|>1"), START, END, ...idsOf("a"), LAST]));
  assert(follows(source, [END, ...idsOf("a")]));
  assert(!follows(source, [...idsOf("1"), LAST]));
  assert(!follows(source, [END, ...idsOf("1")]));
});

Deno.test("an answer in parts comes to its end within its tokens, by control tokens", () => {
  const source = parts({ all: [{ until: { token: "<|end|>" } }, { token: "<|start|>" }, "1"] });
  const knowledge = matcherOf(source, TRIE);
  assert(!knowledge.isComplete);
  for (const tokensMax of [3, 4, 7]) {
    const matcher = matcherOf(source, TRIE, tokensMax);
    const ids: number[] = [];
    while (!matcher.isFinished) {
      const [id] = idsIn(matcher.mask()).toReversed();
      matcher.accept(id);
      ids.push(id);
    }
    assertEquals(ids.length, tokensMax);
    assertEquals(ids.slice(-3), [END, START, ...idsOf("1")]);
  }
});

Deno.test("a grammar's named parts are the same wherever they are named", () => {
  const source: GrammarSource = {
    kind: "parts",
    named: {
      pair: { all: [{ part: "digits" }, ":", { part: "digits" }] },
      digits: { anyOf: ["1", "22"] },
    },
    parts: {
      all: [{ part: "pair" }, {
        grammar: { kind: "parts", named: { pair: "!" }, parts: { part: "pair" } },
      }],
    },
  };
  assertEquals(judge(source, "1:22!"), "yes");
  for (const text of ["1:2!", "1!", "1:22:"]) assertEquals(judge(source, text), "no");
  const bad: GrammarSource[] = [
    { kind: "parts", named: { a: { all: ["1", { part: "a" }] } }, parts: { part: "a" } },
    { kind: "parts", named: { a: "1" }, parts: { part: "b" } },
    { kind: "parts", parts: { part: "toString" } },
    {
      kind: "parts",
      named: { a: "1" },
      parts: { grammar: { kind: "parts", parts: { part: "a" } } },
    },
  ];
  for (const source of bad) {
    assertEquals(assertThrows(() => matcherOf(source), RequestError).code, "invalid_grammar");
  }
});

Deno.test("a grammar in parts that is too deep, or waits for nothing, is refused", () => {
  let deep: GrammarPart = "a";
  for (let i = 0; i < 200; i++) deep = { all: [deep] };
  for (const part of [deep, { until: "" }, { until: "a".repeat(300) }]) {
    const error = assertThrows(() => matcherOf(parts(part)), RequestError);
    assertEquals([error.status, error.code], [400, "invalid_grammar"]);
  }
});
