/** Tokenizers of large vocabularies are made in steps, and what is made so is the same. */
import { assertEquals, assertGreaterOrEqual } from "@std/assert";
import { runSteps } from "../../src/base/steps.ts";
import { type GgufValue, packStrings } from "../../src/gguf/mod.ts";
import { createTokenizer, createTokenizerSteps } from "../../src/tokenizer/mod.ts";
import { pairsFromScores } from "../../src/tokenizer/merge_pairs.ts";
import { SymbolTable } from "../../src/tokenizer/symbol_table.ts";
import { Rng } from "../support/rng.ts";
import { bertMetadata, type Entry, plamoMetadata, unigramMetadata } from "./encoder_vocab.ts";
import { bpeMetadata, type Metadata, spmMetadata } from "./tiny_vocab.ts";

/** Four steps of 4,096 tokens, and a part of one. */
const WORDS = Array.from({ length: 17_000 }, (_, at) => {
  return [676, 26, 1].map((place) => "abcdefghijklmnopqrstuvwxyz"[Math.floor(at / place) % 26])
    .join("");
});
const STEPS_OF_A_LOOP = 4;
const ENTRIES = WORDS.map((word, at): Entry => [word, , -at]);

/** Metadata by kind, and how often its tokens, or its merges, are gone through. */
const KINDS: Readonly<Record<string, readonly [metadata: Metadata, loops: number]>> = {
  llama: [spmMetadata(WORDS.map((text, at) => ({ text, score: -at }))), 6],
  gpt2: [bpeMetadata(WORDS.map(([a, b, c]) => `${a + b} ${c}`)), 3],
  rwkv: [rwkvMetadata(), 3],
  bert: [bertMetadata(ENTRIES), 3],
  t5: [unigramMetadata(ENTRIES), 4],
  plamo2: [plamoMetadata(ENTRIES), 3],
};

for (const [kind, [metadata, loops]] of Object.entries(KINDS)) {
  Deno.test(`createTokenizerSteps() of ${kind} stops wherever it goes through all tokens`, () => {
    const steps = createTokenizerSteps(metadata);
    let count = 0;
    let step = steps.next();
    for (; !step.done; step = steps.next()) count++;
    assertGreaterOrEqual(count, loops * STEPS_OF_A_LOOP);
    const text = " abc zyx cat \n dog é";
    assertEquals(step.value.encode(text), createTokenizer(metadata).encode(text));
  });
}

Deno.test("pairsFromScores() ranks tokens by how many other scores are above theirs", () => {
  const rng = new Rng(7);
  const scores = [NaN, -Infinity, Infinity, 0, -0, -1, -1.5, 3];
  for (let run = 0; run < 50; run++) {
    const texts = ["a", "b", "ab", "ba", "aa", "bb", "aab", "abb", "bab"];
    const inOrder = texts.map((_, at) => -at);
    const given = run === 0 ? inOrder : texts.map(() => scores[rng.int(scores.length)]);
    const symbols = new SymbolTable(16);
    for (const text of texts) symbols.index(symbols.append(new TextEncoder().encode(text)));
    const pairs = runSteps(pairsFromScores(given, symbols, texts.length));
    const known = given.map((score) => Number.isNaN(score) ? -Infinity : score);
    for (const [merged, [left, right]] of [[2, [0, 1]], [3, [1, 0]], [8, [1, 2]]] as const) {
      const above = new Set(known.filter((score) => score > known[merged]));
      assertEquals(pairs.rankAt(pairs.find(left, right)), above.size, String(given));
    }
  }
});

function rwkvMetadata(): Metadata {
  const bytes = Array.from({ length: 256 }, (_, byte) => {
    return `\\x${byte.toString(16).padStart(2, "0")}`;
  });
  return new Map<string, GgufValue>([
    ["tokenizer.ggml.model", "rwkv"],
    ["tokenizer.ggml.tokens", packStrings([...bytes, ...WORDS])],
  ]);
}
