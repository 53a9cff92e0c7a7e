import { assertEquals, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { buildTokenTrie } from "../../src/grammar/mod.ts";
import type { GrammarLead, GrammarSource } from "../../src/llm/types.ts";
import { judge, matcherOf, vocabularyOf } from "./tiny.ts";

const blank = { isBlank: true } as const;
const leads = (leads: readonly GrammarLead[], isAtStart?: boolean): GrammarSource => ({
  kind: "parts",
  parts: { leads, ...(isAtStart && { isAtStart }) },
});

Deno.test("behind a lead in free text follows what belongs to it, and nothing else", () => {
  const source = leads([
    { lead: [">>>f\n"], then: "1" },
    { lead: [">>>go\n"], then: { repeat: "2", min: 1 } },
  ]);
  for (const text of ["", "any", ">>>", ">>> f\n", ">>>h\nx", "a>>>g", ">>>f", "€\n", "<>>>f\n1"]) {
    assertEquals(judge(source, text), "yes", text);
  }
  for (const text of ["a >>>f\n1", ">>>go\n222", ">>>>>>f\n1", ">>>>f\n1", ">>>g>>>f\n1"]) {
    assertEquals(judge(source, text), "yes", text);
  }
  for (const text of [">>>f\n", "text>>>go\n"]) assertEquals(judge(source, text), "begun", text);
  for (const text of [">>>>f\n2", ">>>g>>>f\n2"]) assertEquals(judge(source, text), "no", text);
  for (const text of [">>>f\n2", ">>>f\nx", "a>>>f\n12", ">>>go\n1", ">>>go\n2>>>f\n1"]) {
    assertEquals(judge(source, text), "no", text);
  }
});

Deno.test("leads at the beginning count there only, with any white space at their blanks", () => {
  const source = leads([
    { lead: [blank, "{", blank, '"f"', blank, ":"], then: "1" },
    { lead: [blank, "{", blank, '"fg"', blank, ":"], then: "2" },
  ], true);
  for (const text of ['{"f":1', ' {\n\t "f"  :1', '{"fg" :2']) {
    assertEquals(judge(source, text), "yes", text);
  }
  for (const text of ['{"f":', '\n{"fg":']) assertEquals(judge(source, text), "begun", text);
  for (const text of ['{"f":2', '{ "f": 1', '{"fg":1', '{"f":11']) {
    assertEquals(judge(source, text), "no", text);
  }
  for (
    const text of ["", "{", '{"f"', '{"f"}', '{"h":2', 'a {"f":2', '{{"f":2', "{ x", '{"fgh":3']
  ) {
    assertEquals(judge(source, text), "yes", text);
  }
});

Deno.test("leads may have control tokens; other ones are free, too", () => {
  const texts = [..."<call>1"];
  const trie = buildTokenTrie(
    vocabularyOf(["<|dsml|>", "<|other|>", ...texts, "</s>"], {
      hidden: [0, 1],
      ends: [texts.length + 2],
    }),
  );
  const source = leads([{ lead: ["<", { token: "<|dsml|>" }, "call>"], then: "1" }]);
  const [DSML, OTHER, LAST] = [0, 1, texts.length + 2];
  const ids = (text: string) => [...text].map((char) => 2 + texts.indexOf(char));
  const follows = (ids: readonly number[]) => {
    const matcher = matcherOf(source, trie);
    return ids.every((id) => {
      const isAllowed = matcher.allows(id);
      if (isAllowed) matcher.accept(id);
      return isAllowed;
    });
  };
  assertEquals(follows([...ids("<"), DSML, ...ids("call>1"), LAST]), true);
  assertEquals(follows([...ids("<"), DSML, ...ids("call>"), LAST]), false);
  assertEquals(follows([...ids("<"), DSML, ...ids("call><")]), false);
  assertEquals(follows([...ids("<"), DSML, ...ids("call1"), OTHER, LAST]), true);
  assertEquals(follows([DSML, ...ids("call>"), LAST]), true);
  assertEquals(follows([...ids("<call>"), OTHER, ...ids("l"), LAST]), true);
});

Deno.test("what follows leads in a grammar follows their free text, too", () => {
  const source: GrammarSource = {
    kind: "parts",
    parts: { all: [{ leads: [{ lead: ["a"], then: "b" }], isAtStart: true }, "!"] },
  };
  assertEquals(["ab!", "x!", "!", "ab", "a!", "x"].map((text) => judge(source, text)), [
    ...["yes", "yes", "yes", "begun", "no", "begun"],
  ]);
});

Deno.test("behind what belongs to a lead follows what belongs to all of them", () => {
  const source: GrammarSource = {
    kind: "parts",
    parts: {
      leads: [{ lead: ["a"], then: "1" }, { lead: ["b"], then: "2" }],
      isAtStart: true,
      behind: { repeat: "!", min: 1 },
    },
  };
  const fares = ["a1!", "b2!!", "x", "", "a1", "b2!x", "x!"].map((text) => judge(source, text));
  assertEquals(fares, ["yes", "yes", "yes", "yes", "begun", "no", "yes"]);
});

Deno.test("leads that are empty or too long are refused", () => {
  for (const lead of [[], [""], ["a".repeat(3000)]]) {
    const error = assertThrows(() => matcherOf(leads([{ lead, then: "b" }])), RequestError);
    assertEquals([error.status, error.code], [400, "invalid_grammar"]);
  }
});
