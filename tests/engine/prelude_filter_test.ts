import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { Chooser, ChoosingTools } from "../../src/engine/chooser.ts";
import type { EngineRequest } from "../../src/engine/types.ts";
import { compileGrammar, type VocabularyBytes } from "../../src/grammar/mod.ts";
import type { GrammarPart, GrammarSource } from "../../src/llm/types.ts";
import { vocabularyOf } from "../grammar/tiny.ts";
import { Rng } from "../support/rng.ts";
import { createScoreBoard } from "../support/score_board.ts";

/** Every byte that texts here have, longer pieces, a mark of its own, and an end. */
const TEXTS = [
  ...["<", "/", "t", ">", "a", "b", " ", "1", "</", "</t", "t>", ">1", "ab", "ba", "<t>"],
  ...["<|x|>", "</s>"],
];
const [MARK, END] = [TEXTS.length - 2, TEXTS.length - 1];
const VOCABULARY = vocabularyOf(TEXTS, { hidden: [MARK], ends: [END] });
const FREE: GrammarPart = { leads: [] };

/** Marks of thoughts in text: of 2 to 4 tokens each. */
const CLOSED: GrammarPart = { all: [{ until: "</t>" }, FREE] };
const OPENED: GrammarPart = {
  leads: [{ lead: [{ isBlank: true }, "<t>"], then: CLOSED }],
  isAtStart: true,
};
const ONE: GrammarSource = {
  kind: "parts",
  parts: { all: [{ until: "</t>" }, { repeat: "1", min: 1, max: 3 }] },
};

const compiled = (source: GrammarSource, vocabulary: VocabularyBytes = VOCABULARY) => ({
  grammar: compileGrammar(source),
  vocabulary,
});
const parts = (of: GrammarPart) => compiled({ kind: "parts", parts: of });

interface Asked {
  readonly prelude: EngineRequest["prelude"];
  readonly grammar?: EngineRequest["grammar"];
  readonly tokensMax?: number;
  /** What the model likes, by id: added to random logits. */
  readonly likes?: Readonly<Record<number, number>>;
  readonly logitBias?: ReadonlyMap<number, number>;
}

/** Ids that a model of random logits says. */
function answer(seed: number, { prelude, grammar, tokensMax = 60, likes = {}, logitBias }: Asked) {
  const board = createScoreBoard(TEXTS.length);
  const request: EngineRequest = {
    ...{ ids: [0], maxTokens: tokensMax, endIds: [END], prelude, grammar },
    sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, seed, logitBias },
  };
  const chooser = new Chooser(request, new ChoosingTools(board), tokensMax);
  chooser.accept(0); // the prompt's
  const rng = new Rng(seed);
  const said: number[] = [];
  while (said.length < tokensMax && !chooser.isFinished) {
    for (let id = 0; id < TEXTS.length; id++) {
      board.scores[id] = 2 * rng.float() + (likes[id] ?? 0);
    }
    const id = chooser.sample();
    if (id === END) break;
    chooser.accept(id);
    said.push(id);
  }
  return said;
}

const spelt = (ids: readonly number[]) => ids.map((id) => TEXTS[id]).join("");

/** Tokens up to the one that closes; all, where none does. */
function tokensOfThoughts(ids: readonly number[]): number {
  const count = ids.findIndex((_, at) => spelt(ids.slice(0, at + 1)).includes("</t>"));
  return count < 0 ? Infinity : count + 1;
}

Deno.test("thoughts that a prompt has opened are closed in time, and what follows is free", () => {
  // All that closes: what is free closes nothing.
  const likes = Object.fromEntries([...[">", ">1", "t>"].map((each) => TEXTS.indexOf(each)), END]
    .map((id) => [id, -9]));
  for (const tokensMax of [0, 1, 2, 3, 10]) {
    // Two tokens close: "</t" and ">", or another one that begins with that.
    const prelude = { grammar: parts(CLOSED), tokensMax, endTokens: 2 };
    for (let seed = 1; seed <= 30; seed++) {
      const said = answer(seed, { prelude, likes });
      assertLessOrEqual(tokensOfThoughts(said), tokensMax + 2, spelt(said));
      assertEquals([said.length, spelt(said).split("</t>").length], [60, 2], "closed once");
    }
  }
});

Deno.test("thoughts that an answer opens itself are, too; one that opens none is left as it is", () => {
  const open = TEXTS.indexOf("<t>");
  const likes = { [TEXTS.indexOf(">")]: -9, [TEXTS.indexOf(">1")]: -9, [END]: -9 };
  const prelude = { grammar: parts(OPENED), tokensMax: 6, endTokens: 2 };
  let opened = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const said = answer(seed, { prelude, likes: { ...likes, [open]: 1.5 } });
    const free = answer(seed, { prelude: undefined, likes: { ...likes, [open]: 1.5 } });
    if (/^ *<t>/.test(spelt(said))) {
      opened++;
      const lead = said.findIndex((_, at) => /^ *<t>/.test(spelt(said.slice(0, at + 1)))) + 1;
      assertLessOrEqual(tokensOfThoughts(said), lead + 8, spelt(said));
    } else assertEquals(said, free);
  }
  assert(opened > 10 && opened < 50, `${opened} opened`);
});

Deno.test("who closes thoughts in time, or ends an answer within them, is left alone", () => {
  const close = { [TEXTS.indexOf("</t")]: 2, [TEXTS.indexOf(">")]: 2, [MARK]: 1, [END]: 0 };
  const prelude = { grammar: parts(CLOSED), tokensMax: 62, endTokens: 2 };
  let ended = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const said = answer(seed, { prelude, likes: close });
    const free = answer(seed, { prelude: undefined, likes: close });
    assertEquals(said, free);
    if (tokensOfThoughts(said) === Infinity) ended++;
  }
  assert(ended > 5 && ended < 35, `${ended} ended within`);
});

Deno.test("what must come to an end goes on behind it: no end of the answer stands in for that", () => {
  // All that closes is unlikely; the answer's end is next to that.
  const likes = { [TEXTS.indexOf("</t")]: -9, [TEXTS.indexOf(">")]: -9, [END]: -8 };
  const prelude = { grammar: parts(CLOSED), tokensMax: 3, endTokens: 2 };
  for (let seed = 1; seed <= 30; seed++) {
    assertLessOrEqual(tokensOfThoughts(answer(seed, { prelude, likes })), 5);
  }
});

Deno.test("an answer that is bound behind its thoughts is so, whatever these may take", () => {
  const grammar = compiled(ONE);
  for (const tokensMax of [0, 1, 10]) {
    const prelude = { grammar: parts(CLOSED), tokensMax, endTokens: 2 };
    for (let seed = 1; seed <= 30; seed++) {
      const said = answer(seed, { prelude, grammar });
      assertLessOrEqual(tokensOfThoughts(said), tokensMax + 2);
      assert(/<\/t>1{1,3}$/.test(spelt(said)), spelt(said));
    }
  }
});

Deno.test("a prelude that the answer's grammar knows nothing of is given up", () => {
  const grammar = compiled({ kind: "parts", parts: { repeat: "ab", min: 4, max: 9 } });
  const prelude = { grammar: parts(CLOSED), tokensMax: 1, endTokens: 2 };
  for (let seed = 1; seed <= 10; seed++) {
    assert(/^(ab){4,9}$/.test(spelt(answer(seed, { prelude, grammar }))));
  }
});

Deno.test("a prelude is given up where the answer must end at once, and not by what closes it", () => {
  const grammar = compiled({ kind: "parts", parts: { until: { token: "<|x|>" } } });
  const prelude = { grammar: parts(CLOSED), tokensMax: 1, endTokens: 2 };
  for (let seed = 1; seed <= 10; seed++) {
    const said = answer(seed, { prelude, grammar, tokensMax: 2, likes: { [MARK]: -9 } });
    assertEquals([said.length, said[1]], [2, MARK]);
  }
});

Deno.test("thoughts that are opened again have what is left of their tokens", () => {
  const again: GrammarPart = { leads: [{ lead: ["<t>"], then: CLOSED }] };
  const likes = { [TEXTS.indexOf("<t>")]: 2, [TEXTS.indexOf("</t")]: 1, [END]: -9 };
  let most = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const prelude = { grammar: parts(again), tokensMax: 12, endTokens: 2 };
    const text = answer(seed, { prelude, likes }).map((id) => `${TEXTS[id]}.`).join("");
    // A dot behind each token: of thoughts from the first token behind their mark on.
    const plain = /<\.?t\.?>\.((?:(?!<\.?\/\.?t\.?>).)*)<\.?\/\.?t\.?>/g;
    const thoughts = [...text.matchAll(plain)].map(([, inner]) => inner.split(".").length - 1);
    const tokens = thoughts.reduce((sum, count) => sum + count, 0);
    assertLessOrEqual(tokens, 12, text);
    // Of the first one alone it would say nothing.
    if (tokens > Math.max(...thoughts)) most = Math.max(most, tokens);
  }
  assertEquals(most, 12, "marks count for nothing");
});

Deno.test("what an answer is bound to is no thought, from its beginning on or behind a lead", () => {
  // Of letters that could close thoughts, too.
  const bound: GrammarPart = { grammar: { kind: "gbnf", text: "root ::= [</t>ab]{30,50}" } };
  const led: GrammarPart = { leads: [{ lead: ["1"], then: bound }] };
  const likes = { [TEXTS.indexOf(">")]: -9, [TEXTS.indexOf("1")]: 9, [END]: -9 };
  for (const grammar of [parts(bound), parts(led)]) {
    for (const tokensMax of [1, 5]) {
      const prelude = { grammar: parts(CLOSED), tokensMax, endTokens: 2 };
      for (let seed = 1; seed <= 20; seed++) {
        const said = answer(seed, { prelude, grammar, likes });
        assertEquals(said, answer(seed, { prelude: undefined, grammar, likes }), spelt(said));
      }
    }
  }
});

Deno.test("thoughts that nothing closes but what never may come are given up, and go on", () => {
  // All that has the mark's last character.
  const closes = TEXTS.flatMap((text, id) => text.includes(">") && id < MARK ? [id] : []);
  const never = new Map(closes.map((id) => [id, -Infinity]));
  const prelude = { grammar: parts(CLOSED), tokensMax: 3, endTokens: 2 };
  for (let seed = 1; seed <= 20; seed++) {
    const said = answer(seed, { prelude, logitBias: never, likes: { [END]: -9 } });
    assertEquals([said.length, tokensOfThoughts(said)], [60, Infinity]);
    // What closes otherwise still does.
    const one = new Map([[TEXTS.indexOf(">1"), -Infinity]]);
    const closed = answer(seed, { prelude, logitBias: one, likes: { [END]: -9 } });
    assertLessOrEqual(tokensOfThoughts(closed), 5, spelt(closed));
  }
});
