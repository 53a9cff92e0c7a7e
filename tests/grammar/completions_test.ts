/** How texts come to an end: bytes and tokens that are missing, and answers that are led there. */
import fc from "fast-check";
import { assert, assertEquals } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { Completions } from "../../src/grammar/completions.ts";
import { Configurations, DEAD_SET } from "../../src/grammar/configurations.ts";
import {
  buildTokenTrie,
  compileGrammar,
  GrammarKnowledge,
  GrammarMatcher,
} from "../../src/grammar/mod.ts";
import { shortestEnds } from "../../src/grammar/shortest_ends.ts";
import { Rng } from "../support/rng.ts";
import { countsEmptiness, gbnfOf, randomPiece, randomTokens } from "./random_grammar.ts";
import { randomSchema } from "./random_schema.ts";
import { BYTE_TRIE, gbnf, idsIn, schema, vocabularyOf } from "./tiny.ts";

const usable = randomPiece.filter((piece) => !countsEmptiness(piece));
/** Lengths up to this one are found by trying all texts. */
const TRIED_MAX = 6;
const SETS_MAX = 3000;

/** The length of the shortest text that ends behind `set`; TRIED_MAX + 1 for longer ones. */
function triedLength(configurations: Configurations, set: number): number {
  let sets = new Set([set]);
  for (let length = 0; length <= TRIED_MAX && sets.size < SETS_MAX; length++) {
    for (const each of sets) if (configurations.mayEnd(each)) return length;
    const next = new Set<number>();
    for (const each of sets) {
      for (let byte = 0; byte < 256; byte++) {
        const behind = configurations.step(each, byte);
        if (behind !== DEAD_SET) next.add(behind);
      }
    }
    sets = next;
  }
  return TRIED_MAX + 1;
}

Deno.test("Completions.bytesOf() is the length of the shortest text that ends, and idsOf() spells one", () => {
  fc.assert(
    fc.property(usable, fc.nat(), (piece, seed) => {
      const rng = new Rng(seed);
      const grammar = compileGrammar(gbnf(gbnfOf(piece)));
      const configurations = new Configurations(grammar);
      const ends = shortestEnds(grammar);
      const completions = new Completions(configurations, BYTE_TRIE, ends);
      let set = configurations.start;
      for (let step = 0; step < 8; step++) {
        const bytes = completions.bytesOf(set);
        try {
          assertEquals(Math.min(bytes, TRIED_MAX + 1), triedLength(configurations, set));
        } catch (error) {
          fc.pre(!(error instanceof RequestError)); // too ambiguous to be followed
          throw error;
        }
        const ids = completions.idsOf(set)!;
        assertEquals(ids.length, bytes);
        assert(configurations.mayEnd(ids.reduce((at, byte) => configurations.step(at, byte), set)));
        const nexts = [
          ...new Set(Array.from({ length: 256 }, (_, byte) => configurations.step(set, byte))),
        ].filter((each) => each !== DEAD_SET);
        if (nexts.length === 0) break;
        set = nexts[Math.floor(rng.float() * nexts.length)];
      }
    }),
    { numRuns: 150, seed: 7 },
  );
});

Deno.test("Completions.bytesOf() counts repetitions that are under way, and texts of any length", () => {
  const grammar = compileGrammar(gbnf('root ::= ("ab"{100,200} "c"){1000,} "!"'));
  const configurations = new Configurations(grammar);
  const completions = new Completions(configurations, BYTE_TRIE, shortestEnds(grammar));
  assertEquals(completions.bytesOf(configurations.start), 1000 * 201 + 1);
  let set = configurations.start;
  for (const byte of new TextEncoder().encode("ababa")) set = configurations.step(set, byte);
  assertEquals(completions.bytesOf(set), 1000 * 201 + 1 - 5);
  assert(completions.fits(set, 201_001 - 5) && !completions.fits(set, 201_001 - 6));
});

Deno.test("Completions.fits() counts tokens where bytes are more than there is room for", () => {
  const tokens = ["he", "llo", "hello w", "o", "r", "l", "d", "h", "e", " ", "w"];
  const trie = buildTokenTrie(vocabularyOf(tokens));
  const grammar = compileGrammar(gbnf('root ::= "hello world"'));
  const configurations = new Configurations(grammar);
  const completions = new Completions(configurations, trie, shortestEnds(grammar));
  const ids = completions.idsOf(configurations.start)!;
  assertEquals([...ids], [2, 3, 4, 5, 6]);
  assertEquals([4, 5].map((n) => completions.fits(configurations.start, n)), [false, true]);
  const unspellable = compileGrammar(gbnf('root ::= "xyz"'));
  const others = new Configurations(unspellable);
  const none = new Completions(others, trie, shortestEnds(unspellable));
  assert(!none.fits(others.start, 1000));
});

/** An answer by choices among what is allowed; at times only one that `allows` says yes to. */
function answer(matcher: GrammarMatcher, tokensMax: number, rng: Rng): number[] {
  const ids: number[] = [];
  while (ids.length < tokensMax && !matcher.isFinished) {
    const allowed = idsIn(matcher.mask());
    assert(allowed.length > 0, `nothing may follow ${ids.length} of ${tokensMax}`);
    const id = allowed[Math.floor(rng.float() * allowed.length)];
    if (matcher.isComplete && rng.float() < 0.1) break;
    if (id === 256) continue;
    matcher.accept(id);
    ids.push(id);
  }
  return ids;
}

Deno.test("GrammarMatcher ends every answer within its tokens, whatever is chosen", () => {
  const words = [
    '{"',
    '":',
    '",',
    '"}',
    "}}",
    "ab",
    '"a"',
    '""',
    "12",
    "::",
    "00",
    "null",
    '"type"',
  ];
  const bytes = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
  const trie = buildTokenTrie(vocabularyOf([...bytes, "</s>", ...words], { ends: [256] }));
  let led = 0;
  fc.assert(
    fc.property(randomSchema, fc.nat(), (of, seed) => {
      const rng = new Rng(seed);
      const grammar = compileGrammar(schema(of));
      const configurations = new Configurations(grammar);
      const completions = new Completions(configurations, trie, shortestEnds(grammar));
      const knowledge = new GrammarKnowledge(grammar, trie);
      const least = completions.idsOf(configurations.start)!.length;
      for (const more of [0, 1, 5, 20]) {
        const matcher = new GrammarMatcher(knowledge, { tokensMax: least + more });
        const ids = answer(matcher, least + more, rng);
        assert(matcher.isComplete, `${ids.length} of ${least + more}: ${JSON.stringify(of)}`);
        led += ids.length === least + more ? 1 : 0;
      }
    }),
    { numRuns: 150, seed: 7 },
  );
  assert(led > 100, "answers come near their ends");
});

Deno.test("GrammarMatcher ends answers of the fewest tokens, whatever the vocabulary lacks", () => {
  // Two readings of the same bytes, of which the one that is found first depends on where one is.
  const twins = gbnf(
    'root ::= c? ("a" y | "a" x)\nx ::= "bc" | "bd"\ny ::= "de" | "df"\nc ::= "z"',
  );
  const random = fc.tuple(usable, randomTokens).map(([piece, tokens]) =>
    [gbnf(gbnfOf(piece)), tokens] as const
  );
  const texts = (...all: string[]) => all.map((each) => new TextEncoder().encode(each));
  const cases = fc.oneof(
    random,
    fc.subarray(["de", "df", "bc", "bd", "ab", "ad"], { minLength: 1 }).map((more) =>
      [twins, texts(..."abcdefz", ...more)] as const
    ),
  );
  let count = 0;
  fc.assert(
    fc.property(cases, fc.nat(), ([source, tokens], seed) => {
      const end = tokens.length;
      const trie = buildTokenTrie(vocabularyOf([...tokens, "</s>"], { ends: [end] }));
      const grammar = compileGrammar(source);
      const configurations = new Configurations(grammar);
      const completions = new Completions(configurations, trie, shortestEnds(grammar));
      const tokensMax = completions.idsOf(configurations.start)?.length ?? 0;
      const matcher = new GrammarMatcher(new GrammarKnowledge(grammar, trie), { tokensMax });
      const rng = new Rng(seed);
      for (let left = tokensMax; left > 0 && !matcher.isComplete; left--, count++) {
        const allowed = idsIn(matcher.mask()).filter((id) => id !== end);
        assert(allowed.length > 0, `nothing may follow with ${left} of ${tokensMax} left`);
        matcher.accept(allowed[Math.floor(rng.float() * allowed.length)]);
      }
      assert(matcher.isComplete || completions.idsOf(configurations.start) === null);
    }),
    { numRuns: 600, seed: 7 },
  );
  assert(count > 500, `only ${count} tokens`);
});

/** What a request comes to: by the mask, or by its own likes where these are allowed. */
function* request(
  knowledge: GrammarKnowledge,
  { tokensMax, seed, end }: { tokensMax: number; seed: number; end: number },
): Generator<undefined, string> {
  const rng = new Rng(seed);
  const matcher = new GrammarMatcher(knowledge, { tokensMax });
  const seen: string[] = [];
  for (let left = tokensMax; left > 0 && !matcher.isFinished; left--) {
    const liked = rng.int(end);
    let id = liked;
    if (!matcher.allows(liked)) {
      const allowed = idsIn(matcher.mask());
      if (allowed.length === 0) break;
      seen.push(allowed.join());
      id = allowed[rng.int(allowed.length)];
    }
    seen.push(`took ${id}`);
    if (id === end) break;
    matcher.accept(id);
    yield;
  }
  return seen.join(" ");
}

/** Runs it to its end. */
function finish(under: Generator<undefined, string>): string {
  for (;;) {
    const step = under.next();
    if (step.done) return step.value;
  }
}

Deno.test("GrammarMatcher allows the same ids whatever other answers came before, or come meanwhile", () => {
  const schemas = fc.tuple(
    randomSchema.map(schema),
    fc.uniqueArray(
      fc.constantFrom(..."0123456789abet", '{"', '":', '",', '"}', "}}", "00", "null"),
      {
        minLength: 6,
      },
    ).map((words) => [
      ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
      ...words.map((word) => new TextEncoder().encode(word)),
    ]),
  );
  const grammars = fc.tuple(usable.map((piece) => gbnf(gbnfOf(piece))), randomTokens);
  // Many ends of as many bytes, of which the tokens spell some in fewer pieces.
  const word = fc.string({ unit: fc.constantFrom(..."abc"), minLength: 3, maxLength: 6 });
  const words = fc.uniqueArray(word, { minLength: 2, maxLength: 6 });
  const ties = fc.tuple(words, words, fc.uniqueArray(word, { maxLength: 6 })).map(
    ([some, others, pieces]) => {
      const oneOf = (all: string[]) => all.map((each, i) => `"${each}" e${i % 3}`).join(" | ");
      const rules = `e0 ::= "ab" | "cc"\ne1 ::= "ba" | "ca"\ne2 ::= "bc" | "aa"`;
      const text = `root ::= "c"? (x | y) x?\nx ::= ${oneOf(some)}\ny ::= ${
        oneOf(others)
      }\n${rules}`;
      const more = [...pieces, ...pieces.map((piece) => piece.slice(1)), "ab", "ca"];
      const tokens = [...new Set([..."abc", ...more])].map((each) =>
        new TextEncoder().encode(each)
      );
      return [gbnf(text), tokens] as const;
    },
  );
  let near = 0;
  fc.assert(
    fc.property(fc.oneof(schemas, grammars, ties), fc.nat(), ([source, tokens], seed) => {
      const end = tokens.length;
      const trie = buildTokenTrie(vocabularyOf([...tokens, "</s>"], { ends: [end] }));
      const grammar = compileGrammar(source);
      const fresh = () => new GrammarKnowledge(grammar, trie);
      const rng = new Rng(seed);
      const configurations = new Configurations(grammar);
      const completions = new Completions(configurations, trie, shortestEnds(grammar));
      const least = completions.idsOf(configurations.start)?.length ?? 3;
      const asks = Array.from({ length: 6 }, (_, i) => ({
        ...{ seed: seed + i % 4, end },
        tokensMax: Math.max(1, least + [0, 1, 2, 4, 9, 30][rng.int(6)]),
      }));
      const alone = asks.map((ask) => finish(request(fresh(), ask)));
      near += alone.filter((text, i) => text.split("took").length > asks[i].tokensMax).length;
      const shared = fresh();
      const after = asks.map((ask) => finish(request(shared, ask)));
      assertEquals(after, alone, "one after the other");
      const together = fresh();
      const under = asks.map((ask) => request(together, ask));
      const texts: string[] = [];
      for (let open = under.length; open > 0;) {
        const at = rng.int(under.length);
        if (texts[at] !== undefined) continue;
        const step = under[at].next();
        if (!step.done) continue;
        texts[at] = step.value;
        open--;
      }
      assertEquals(texts, alone, "at the same time");
    }),
    { numRuns: 300, seed: 7 },
  );
  assert(near > 300, `${near} answers came to their last token`);
});

Deno.test("GrammarMatcher minds no number of tokens that is too small for any answer", () => {
  fc.assert(
    fc.property(usable, randomTokens, (piece, tokens) => {
      const trie = buildTokenTrie(vocabularyOf([...tokens, "</s>"], { ends: [tokens.length] }));
      const grammar = compileGrammar(gbnf(gbnfOf(piece)));
      const configurations = new Configurations(grammar);
      const completions = new Completions(configurations, trie, shortestEnds(grammar));
      const ids = completions.idsOf(configurations.start);
      fc.pre(ids === null || ids.length > 0);
      const knowledge = new GrammarKnowledge(grammar, trie);
      const short = new GrammarMatcher(knowledge, { tokensMax: (ids?.length ?? 9) - 1 });
      assertEquals(idsIn(short.mask()), idsIn(new GrammarMatcher(knowledge).mask()));
    }),
    { numRuns: 100, seed: 7 },
  );
});

Deno.test("GrammarMatcher.mask() sees the end of long repetitions of items of two lengths in time", () => {
  const tokens = [..."0123456789[],", "12345678"];
  const ends = [tokens.length];
  const trie = buildTokenTrie(vocabularyOf([...tokens, "</s>"], { ends }));
  const preferred = tokens.indexOf("1");
  for (
    const [text, tokensMax] of [
      ['root ::= ("0" | "12345678"){100}', 120],
      ['root ::= ("0" | "12345678"){40,}', 60],
      ['root ::= "[" ("0" | "12345678"){40,90} "]"', 70],
      ['root ::= ("[" ("0" | "12345678"){30,} "]"){20,}', 800],
    ] as const
  ) {
    const knowledge = new GrammarKnowledge(compileGrammar(gbnf(text)), trie);
    const matcher = new GrammarMatcher(knowledge, { tokensMax });
    let count = 0;
    // As a sampler chooses: what it likes best where that is allowed, or else by the mask.
    for (; count < tokensMax && !matcher.isComplete; count++) {
      const [first] = idsIn(matcher.mask());
      const isAllowed = matcher.allows(preferred);
      assertEquals((matcher.mask()[0] >>> preferred & 1) === 1, isAllowed, `${text} at ${count}`);
      matcher.accept(isAllowed ? preferred : first);
    }
    assert(matcher.isComplete, `${text}: ${count} tokens`);
  }
});

Deno.test("GrammarMatcher.mask() minds no number of tokens any more that has become too small", () => {
  const wasted = new GrammarMatcher(
    new GrammarKnowledge(compileGrammar(gbnf('root ::= "0"? "1"? "abcdefgh"')), BYTE_TRIE),
    { tokensMax: 8 },
  );
  // Not allowed: eight bytes are missing behind it, and seven tokens may come.
  wasted.accept("0".charCodeAt(0));
  for (const [i, char] of [..."abcdefgh"].entries()) {
    const fitting = i === 0 ? ["1", "a"] : [char];
    assertEquals(idsIn(wasted.mask()), fitting.map((each) => each.charCodeAt(0)));
    assert(wasted.allows(char.charCodeAt(0)));
    wasted.accept(char.charCodeAt(0));
  }
  assert(wasted.isFinished);
});

Deno.test("GrammarMatcher begins nothing behind free text that it could not end", () => {
  const tokens = ["<call>", "x", "{", "}", "a", "</s>"];
  const trie = buildTokenTrie(vocabularyOf(tokens, { ends: [5] }));
  const source = { kind: "gbnf", text: 'root ::= "{" "a"{3} "}"', trigger: "<call>" } as const;
  const knowledge = new GrammarKnowledge(compileGrammar(source), trie);
  const matcher = new GrammarMatcher(knowledge, { tokensMax: 7 });
  assertEquals(idsIn(matcher.mask()), [0, 1, 2, 3, 4, 5]);
  assert(matcher.allows(0));
  matcher.accept(1);
  assert(matcher.allows(0));
  matcher.accept(1);
  assert(!matcher.allows(0) && matcher.allows(1));
  assertEquals(idsIn(matcher.mask()), [1, 2, 3, 4, 5]);
});
