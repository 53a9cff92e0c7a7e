import fc from "fast-check";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import {
  buildTokenTrie,
  compileGrammar,
  GrammarKnowledge,
  GrammarMatcher,
} from "../../src/grammar/mod.ts";
import { fuzzRuns } from "../support/fuzz.ts";
import { Rng } from "../support/rng.ts";
import {
  ALPHABET,
  countsEmptiness,
  endsOf,
  gbnfOf,
  randomPiece,
  randomTokens,
  sentenceOf,
} from "./random_grammar.ts";
import { BYTE_TRIE, gbnf, idsIn, judge, judgeBy, matcherOf, schema, vocabularyOf } from "./tiny.ts";

const usable = randomPiece.filter((piece) => !countsEmptiness(piece));
const randoms = fc.nat().map((seed) => new Rng(seed));

/** How a text fares; what can be read in too many ways is refused, and no case. */
function judgeRandom(text: string, sentence: string): ReturnType<typeof judge> {
  try {
    return judge(gbnf(text), sentence);
  } catch (error) {
    fc.pre(!(error instanceof RequestError && error.message.includes("too many ways")));
    throw error;
  }
}

Deno.test("GrammarMatcher accepts what is generated from a grammar, and ends there", () => {
  fc.assert(
    fc.property(usable, randoms, (piece, numbers) => {
      const sentence = sentenceOf(piece, () => numbers.float());
      assertEquals(judgeRandom(gbnfOf(piece), sentence), "yes");
    }),
    { numRuns: 300, seed: 7 },
  );
});

Deno.test("GrammarMatcher agrees with a slow reader on texts that were changed", () => {
  fc.assert(
    fc.property(usable, randoms, fc.nat(), fc.constantFrom(...ALPHABET, "<", ">", ""), (
      piece,
      numbers,
      place,
      other,
    ) => {
      const chars = [...sentenceOf(piece, () => numbers.float())];
      chars.splice(place % (chars.length + 1), 1, other);
      const text = chars.filter((each) => each !== "");
      const isSentence = endsOf(piece, text, 0).has(text.length);
      assertEquals(judgeRandom(gbnfOf(piece), text.join("")) === "yes", isSentence);
    }),
    { numRuns: 500, seed: 7 },
  );
});

Deno.test("GrammarMatcher.mask() is what trying every token says, along a text", () => {
  fc.assert(
    fc.property(usable, randoms, randomTokens, (piece, numbers, tokens) => {
      const trie = buildTokenTrie(vocabularyOf([...tokens, "</s>"], { ends: [tokens.length] }));
      const grammar = compileGrammar(gbnf(gbnfOf(piece)));
      const knowledge = new GrammarKnowledge(grammar, trie);
      const bytes = new GrammarKnowledge(grammar, BYTE_TRIE);
      const soFar: number[] = [];
      const behind = (token: Iterable<number> = []) =>
        judgeBy(new GrammarMatcher(bytes), Uint8Array.of(...soFar, ...token));
      const matcher = new GrammarMatcher(knowledge);
      for (let step = 0; step < 12; step++) {
        const slow = tokens.flatMap((token, id) => behind(token) === "no" ? [] : [id]);
        if (behind() === "yes") slow.push(tokens.length);
        assertEquals(idsIn(matcher.mask()), slow);
        assertEquals(
          [...tokens.keys(), tokens.length].filter((id) => matcher.allows(id)),
          slow,
        );
        const choices = slow.filter((id) => id < tokens.length);
        if (choices.length === 0) break;
        const id = choices[Math.floor(numbers.float() * choices.length)];
        matcher.accept(id);
        soFar.push(...tokens[id]);
      }
    }),
    { numRuns: 300, seed: 7 },
  );
});

Deno.test("GrammarMatcher.mask() of long counted repetitions is exact near both limits", () => {
  const tokens = ["a", "aa", "aaaa", "aaaaaaaa", "b", "ab", "aab"];
  const trie = buildTokenTrie(vocabularyOf([...tokens, "</s>"], { ends: [7] }));
  const matcher = matcherOf(gbnf('root ::= "a"{100,150} "b"'), trie);
  for (let count = 0; count <= 150; count++) {
    const fits = tokens.flatMap((token, id) => {
      const more = token.replace("b", "").length;
      const isOver = count + more > 150 || token.endsWith("b") && count + more < 100;
      return isOver ? [] : [id];
    });
    assertEquals(idsIn(matcher.mask()), fits, `behind ${count}`);
    if (count < 150) matcher.accept(0);
  }
  matcher.accept(4);
  assertEquals(idsIn(matcher.mask()), [7]);
  assert(matcher.isFinished);
});

Deno.test("GrammarMatcher forgets nothing when its tables have become full", () => {
  // Every nesting is a stack of its own, and every step makes new ones.
  const matcher = matcherOf(gbnf('root ::= ("(" root ")" | "[" root "]")* "."?'));
  const open: string[] = [];
  for (let i = 0; i < 60_000; i++) {
    const char = "(["[(i * 7919) % 13 % 2];
    open.push(char === "(" ? ")" : "]");
    matcher.accept(char.charCodeAt(0));
  }
  while (open.length > 0) {
    const char = open.pop()!;
    assert(!matcher.allows((char === ")" ? "]" : ")").charCodeAt(0)));
    matcher.accept(char.charCodeAt(0));
  }
  assert(matcher.isComplete);
});

Deno.test("GrammarMatcher leaves text alone before a trigger and holds to the grammar behind it", () => {
  const source = { kind: "gbnf", text: 'root ::= "{" [a-z]* "}"', trigger: "<<x" } as const;
  assertEquals(judge(source, "anything at all"), "yes");
  assertEquals(judge(source, "a <<x{ab}"), "yes");
  assertEquals(judge(source, "a <<<x{ab"), "begun");
  assertEquals(judge(source, "a <<x"), "begun");
  assertEquals(judge(source, "a <<x["), "no");
  assertEquals(judge(source, "a <<x{ab}!"), "no");
  assertEquals(judge({ ...source, trigger: "aabaaa" }, "aabaabaaa{}"), "yes");
  assertEquals(judge({ ...source, trigger: "aabaaa" }, "aabaabaaa."), "no");
});

Deno.test("GrammarMatcher lets markers come in free text only, and reads their spelling there", () => {
  const tokens = ["<tool>", "<other>", "{", "}", "a", "x<tool>", "</s>"];
  const trie = buildTokenTrie(vocabularyOf(tokens, { hidden: [0, 1], ends: [6] }));
  const source = { kind: "gbnf", text: 'root ::= "{" "a"* "}"', trigger: "<tool>" } as const;
  const matcher = matcherOf(source, trie);
  assertEquals(idsIn(matcher.mask()), [0, 1, 2, 3, 4, 5, 6]);
  matcher.accept(1);
  matcher.accept(0);
  assertEquals(idsIn(matcher.mask()), [2]);
  matcher.accept(2);
  assertEquals(idsIn(matcher.mask()), [3, 4]);
  matcher.accept(3);
  assertEquals(idsIn(matcher.mask()), [6]);
});

Deno.test("GrammarMatcher allows no id beyond the vocabulary, no empty token, and ends when complete", () => {
  const trie = buildTokenTrie(vocabularyOf(["a", "", "b", "</s>"], { ends: [3], vocabSize: 70 }));
  const matcher = matcherOf(gbnf('root ::= "a" .*'), trie);
  assertEquals(idsIn(matcher.mask()), [0]);
  assertEquals([3, 1, 4, 69, 70, -1, NaN].map((id) => matcher.allows(id)), Array(7).fill(false));
  matcher.accept(0);
  assertEquals(idsIn(matcher.mask()), [0, 2, 3]);
  assert(!matcher.isFinished && matcher.isComplete);
  assertThrows(() => matcher.accept(1), Error, "does not allow 1");
});

Deno.test("GrammarMatcher gives up on texts that can be read in too many ways, quickly", () => {
  for (
    const text of [
      'root ::= ("a"{1,1000}){1,1000} "b"',
      'root ::= ([a-z]+ " "?){1,1000}{1,1000} "!"',
      'root ::= "a" root "a" | "a" root root | "a"',
    ]
  ) {
    const matcher = matcherOf(gbnf(text));
    const start = performance.now();
    const error = assertThrows(() => {
      for (let i = 0; i < 20_000; i++) {
        matcher.mask();
        matcher.accept(97);
      }
      throw new Error("it could be followed");
    }, RequestError);
    assertEquals(error.status, 400);
    assert(performance.now() - start < 20_000, `${text} took too long`);
  }
});

Deno.test("a vocabulary's trie finds every token, whatever their bytes have in common", () => {
  fc.assert(
    fc.property(randomTokens, (tokens) => {
      const trie = buildTokenTrie(vocabularyOf(tokens));
      const found: [number, number[]][] = [];
      const path: number[] = [];
      for (let node = 0; node < trie.nodeCount; node++) {
        path.length = trie.depths[node] - 1;
        path.push(trie.bytes[node]);
        assert(trie.ends[node] > node);
        for (let i = trie.tokenStarts[node]; i < trie.tokenStarts[node + 1]; i++) {
          found.push([trie.tokens[i], [...path]]);
        }
      }
      assertEquals(
        found.sort(([a], [b]) => a - b),
        tokens.map((token, id) => [id, [...token]]),
      );
    }),
    fuzzRuns(100),
  );
});

Deno.test("GrammarMatcher follows a schema of many optional members", () => {
  const names = Array.from({ length: 400 }, (_, i) => `n${i}`);
  const properties = Object.fromEntries(names.map((name) => [name, { type: "integer" }]));
  const source = schema({ type: "object", properties });
  assertEquals(judge(source, "{}"), "yes");
  assertEquals(judge(source, '{"n3":1, "n399":2}'), "yes");
  assertEquals(judge(source, '{"n399":1,"n3":2}'), "no");
});
