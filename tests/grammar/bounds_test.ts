/** What one step of an answer may take, for which all answers wait; the same for all of them. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { Completions } from "../../src/grammar/completions.ts";
import { Configurations } from "../../src/grammar/configurations.ts";
import { GRAMMAR_LIMITS } from "../../src/grammar/limits.ts";
import {
  buildTokenTrie,
  compileGrammar,
  GrammarKnowledge,
  GrammarMatcher,
} from "../../src/grammar/mod.ts";
import { shortestEnds } from "../../src/grammar/shortest_ends.ts";
import { gbnf, idsIn, schema, vocabularyOf } from "./tiny.ts";

/** Alternatives that begin alike and are all as long: every stack's end is a nearest one. */
function alike(count: number, body: string): string {
  const rules = Array.from(
    { length: count },
    (_, i) => `a${i} ::= "x" ${body} "${String(i).padStart(4, "0")}"`,
  );
  return `root ::= ${rules.map((_, i) => `a${i}`).join(" | ")}\n${rules.join("\n")}`;
}

/** The longest of the first masks near the end, in ms. */
function longestMask(text: string, tokens: readonly string[], tokensMax: number): number {
  const trie = buildTokenTrie(vocabularyOf([...tokens, "</s>"], { ends: [tokens.length] }));
  const knowledge = new GrammarKnowledge(compileGrammar(gbnf(text)), trie);
  const matcher = new GrammarMatcher(knowledge, { tokensMax });
  const spent: number[] = [];
  for (let i = 0; i < 4; i++) {
    const start = performance.now();
    const allowed = idsIn(matcher.mask());
    spent.push(performance.now() - start);
    assert(allowed.length > 0);
    matcher.accept(allowed[0]);
  }
  return Math.max(...spent);
}

Deno.test("GrammarMatcher.mask() takes no longer where hundreds of ends are equally near", () => {
  const tokens = [..."xabc0123456789", "aa", "ab", "abc", "aaaa", "aaaaaaaa", "xa", "bb", "cc"];
  const text = alike(500, "[a-c]{2000}");
  const times = [1, 2, 3].map(() => longestMask(text, tokens, 600));
  assert(Math.min(...times) < 150, `${times} ms`); // 480 and more when each was cut
});

Deno.test("GrammarMatcher.mask() walks once where hundreds of stacks have a large vocabulary", () => {
  const letters = [..."abcdefghijklmnopqrstuvwxyz"];
  const pairs = letters.flatMap((a) => letters.map((b) => a + b));
  const triples = letters.flatMap((a) => pairs.map((b) => a + b));
  const tokens = [..."0123456789", ...letters, ...pairs, ...triples];
  const text = alike(500, "[a-z]{2000}");
  const times = [1, 2, 3].map(() => longestMask(text, tokens, 900));
  assert(Math.min(...times) < 100, `${times} ms`); // 190 and more when each stack had a walk
});

Deno.test("Completions.idsOf() says the same of many ends whatever was read before", () => {
  const count = 300;
  const rules = Array.from({ length: count }, (_, i) => {
    const number = String(i).padStart(3, "0");
    return `a${i} ::= ("q" | "p" "${number}") [${"abc"[i % 3]}-d]{400} "${number}"`;
  });
  const text = `root ::= ${rules.map((_, i) => `a${i}`).join(" | ")}\n${rules.join("\n")}`;
  const tokens = [..."pqabcd0123456789", "aa", "bbb", "cccc", "d0", "c01", "b1"];
  const trie = buildTokenTrie(vocabularyOf([...tokens, "</s>"], { ends: [tokens.length] }));
  const grammar = compileGrammar(gbnf(text));
  const idsBehind = (...before: readonly string[]) => {
    const configurations = new Configurations(grammar);
    const completions = new Completions(configurations, trie, shortestEnds(grammar));
    const read = (text: string) =>
      [...new TextEncoder().encode(text)].reduce(
        (set, byte) => configurations.step(set, byte),
        configurations.start,
      );
    for (const each of before) completions.idsOf(read(each));
    return completions.idsOf(read("qd"));
  };
  const alone = idsBehind();
  for (let i = 0; i < count; i += 7) {
    assertEquals(idsBehind(`p${String(i).padStart(3, "0")}d`), alone);
  }
});

/** A schema of an object with so many members. */
function members(count: number, of: (index: number) => unknown) {
  const all = Array.from({ length: count }, (_, i) => [`m${i}`, of(i)]);
  return schema({ type: "object", properties: Object.fromEntries(all) });
}

Deno.test("automata of a schema have one account of work, and equal ones are made once", () => {
  compileGrammar(
    members(60, () => ({ type: "integer", multipleOf: 701, minimum: 0, maximum: 1e5 })),
  );
  compileGrammar(members(60, () => ({ type: "string", pattern: "^(?=.*[A-Z])(?=.*[0-9]).{8,}$" })));
  const numbers = members(
    60,
    (i) => ({ type: "integer", multipleOf: 701 + i, minimum: i, maximum: 1e5 }),
  );
  assertThrows(() => compileGrammar(numbers), Error, "more work than a schema is worth");
  const texts = members(60, (i) => ({ type: "string", pattern: `^(?=.*a.{9}$).*${i}` }));
  assertThrows(() => compileGrammar(texts), Error, "more work than a schema is worth");
  // What is left over of divisions is counted, too: 14,000 states of which few differ.
  const fine = schema({ type: "number", multipleOf: 9.97e-10, minimum: 0, maximum: 0 });
  assertThrows(() => compileGrammar(fine), Error, "more work than a schema is worth");
});

Deno.test("a pattern is refused soon that takes long to put together", () => {
  const letters = Array.from({ length: 100 }, (_, i) => String.fromCharCode(0x4e00 + i)).join("|");
  const pattern = `^(?:q|(?:${letters})${"x".repeat(1500)}){500}(?=z)`;
  const times = [1, 2, 3].map(() => {
    const start = performance.now();
    assertThrows(() => compileGrammar(schema({ type: "string", pattern })), Error, "more work");
    return performance.now() - start;
  });
  assert(Math.min(...times) < 700, `${times} ms`); // 1600 when only what is new was counted
  const allOf = Array.from({ length: 65 }, (_, i) => ({ pattern: `a${i}` }));
  assertThrows(() => compileGrammar(schema({ type: "string", allOf })), Error, "more than 64");
});

Deno.test("compileGrammar() refuses a text that is too long before it builds anything of it", () => {
  const limits = { ...GRAMMAR_LIMITS, states: 50 };
  // The rule's beginning and end are states, too.
  compileGrammar(gbnf(`root ::= "${"a".repeat(48)}"`), { limits });
  const long = "ab".repeat(250_000);
  const refuse = () => {
    const start = performance.now();
    const compile = () => compileGrammar(schema({ const: long }));
    assertThrows(compile, RequestError, "more than 200000 states");
    return performance.now() - start;
  };
  const times = [1, 2, 3].map(refuse);
  assert(Math.min(...times) < 200, `${times} ms`); // 1,300 and more when a tree was built of it
  for (const text of ["a".repeat(49), `a" "${"a".repeat(48)}`]) {
    const compile = () => compileGrammar(gbnf(`root ::= "${text}"`), { limits });
    assertThrows(compile, RequestError, "more than 50 states");
  }
});
