/** Long texts to ids in steps. */
import { assert, assertEquals } from "@std/assert";
import { runSteps } from "../../src/base/steps.ts";
import { createTokenizer, type Tokenizer } from "../../src/tokenizer/mod.ts";
import { bertMetadata, unigramMetadata } from "./encoder_vocab.ts";
import { bpeMetadata, spmMetadata } from "./tiny_vocab.ts";

const spaced = [
  ...[{ text: "▁cat", score: -1 }, { text: "▁", score: -2 }],
  ...[..."cat"].map((text) => ({ text, score: -3 })),
];
const letters = [..."cat"].map((text): [string] => [text]);
const TOKENIZERS: readonly Tokenizer[] = [
  createTokenizer(bpeMetadata(["Ġ c", "a t", "Ġc at"])),
  createTokenizer(spmMetadata(spaced)),
  createTokenizer(unigramMetadata([["▁cat"], ["▁"], ...letters])),
  createTokenizer(bertMetadata([["▁cat"], ["▁c"], ...letters])),
];

/** Texts of 2^17 units: of words, of one word, of what no token spells, of spaces. */
const TEXTS: Readonly<Record<string, string>> = {
  words: " cat".repeat(1 << 15),
  letters: "cat".repeat(2 ** 17 / 3),
  characters: "猫犬".repeat(1 << 16),
  spaces: " ".repeat(1 << 17),
};

for (const tokenizer of TOKENIZERS) {
  Deno.test(`encodeSteps() of ${tokenizer.kind} makes encode()'s ids, and stops on the way`, () => {
    for (const [what, text] of Object.entries(TEXTS)) {
      // White space is no word of BERT's: there is nothing to stop at.
      if (tokenizer.kind === "bert" && what === "spaces") continue;
      const steps = tokenizer.encodeSteps(text);
      let count = 0;
      let step = steps.next();
      for (; !step.done; step = steps.next()) count++;
      assert(count >= 5, `${count} steps of ${what}`);
      assertSame(step.value, tokenizer.encode(text));
    }
  });

  Deno.test(`texts that ${tokenizer.kind} reads at one time do not get into each other`, () => {
    const texts = Object.values(TEXTS).map((text) => text.slice(0, 3 << 14));
    const open = texts.map((text) => tokenizer.encodeSteps(text));
    const ended = open.map(() => null as readonly number[] | null);
    while (ended.includes(null)) {
      open.forEach((steps, index) => {
        if (ended[index] !== null) return;
        const step = steps.next();
        if (step.done) ended[index] = step.value;
        tokenizer.encode(" cat act");
      });
    }
    texts.forEach((text, index) => assertSame(ended[index]!, tokenizer.encode(text)));
  });
}

Deno.test("encodeSteps() stops between special tokens", () => {
  const tokenizer = createTokenizer(spmMetadata([...spaced]));
  const steps = tokenizer.encodeSteps("<s>".repeat(1 << 15), { special: true });
  let count = 0;
  while (!steps.next().done) count++;
  assert(count >= 5, `${count} steps`);
  assertEquals(runSteps(tokenizer.encodeSteps("<s>", { special: true })).length, 1);
});

/** `assertEquals` of so many would take seconds where it fails. */
function assertSame(actual: readonly number[], expected: readonly number[]): void {
  assertEquals(actual.length, expected.length);
  assertEquals(actual.findIndex((id, index) => id !== expected[index]), -1);
}
