/** Long texts to ids in steps. */
import { assert, assertEquals } from "@std/assert";
import { createTokenizer, type Tokenizer } from "../../src/tokenizer/mod.ts";
import { unigramMetadata } from "./encoder_vocab.ts";
import { bpeMetadata, spmMetadata } from "./tiny_vocab.ts";

const spaced = [{ text: "▁cat", score: -1 }, { text: "▁", score: -2 }];
const TOKENIZERS: readonly Tokenizer[] = [
  createTokenizer(bpeMetadata(["Ġ c", "a t", "Ġc at"])),
  createTokenizer(spmMetadata(spaced)),
  createTokenizer(unigramMetadata([["▁cat"], ["▁"]])),
];

for (const tokenizer of TOKENIZERS) {
  Deno.test(`encodeSteps() of ${tokenizer.kind} makes encode()'s ids, and stops on the way`, () => {
    const text = " cat".repeat(1 << 16);
    const steps = tokenizer.encodeSteps(text);
    let count = 0;
    let step = steps.next();
    for (; !step.done; step = steps.next()) count++;
    assert(count >= 3, `${count} steps`);
    const ids = tokenizer.encode(text);
    assertEquals([step.value.length, new Set(step.value).size], [ids.length, new Set(ids).size]);
    assertEquals(step.value.slice(-3), ids.slice(-3));
  });
}
