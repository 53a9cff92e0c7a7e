import { assertEquals } from "@std/assert";
import { runSteps } from "../../src/base/steps.ts";
import { createTokenizer, encodePair, frameIds } from "../../src/tokenizer/mod.ts";
import { TokenType } from "../../src/tokenizer/token_types.ts";
import { bertMetadata, type Entry, unigramMetadata } from "./encoder_vocab.ts";
import { ALPHABET, bpeMetadata, type Metadata, spmMetadata } from "./tiny_vocab.ts";

const [CLS, SEP] = [2, 3];
const LETTERS: Entry[] = [["▁q"], ["▁d"], ["▁["], ["▁]"], ["▁sep"]];
const [Q, D] = [5, 6];
const PAIR = { query: "q", document: "d" };

function pairOf(metadata: Metadata, flags: Record<string, boolean> = {}, pair = PAIR): number[] {
  for (const [name, value] of Object.entries(flags)) {
    metadata.set(`tokenizer.ggml.add_${name}_token`, value);
  }
  return runSteps(encodePair(createTokenizer(metadata), pair));
}

Deno.test("frameIds() puts marks around a text as the vocabulary wants them, none twice", () => {
  const framed = (metadata: Metadata, ids: number[]) => frameIds(createTokenizer(metadata), ids);
  assertEquals(framed(bertMetadata(LETTERS), [Q]), [CLS, Q, SEP]);
  assertEquals(framed(bertMetadata(LETTERS), []), [CLS, SEP]);
  assertEquals(framed(bertMetadata(LETTERS), [CLS, Q, SEP]), [CLS, Q, SEP]);
  // BERT's stand there whatever a file says.
  const denied = bertMetadata(LETTERS).set("tokenizer.ggml.add_bos_token", false);
  assertEquals(framed(denied, [Q]), [CLS, Q, SEP]);
  const t5 = unigramMetadata([]);
  assertEquals(framed(t5, [9]), [9, 2]);
  t5.set("tokenizer.ggml.add_bos_token", true).set("tokenizer.ggml.add_eos_token", false);
  assertEquals(framed(t5, [9]), [0, 9]);
  assertEquals(framed(spmMetadata([]), [9]), [1, 9]);
});

Deno.test("encodePair() puts the marks between and around a pair that the file asks for", () => {
  assertEquals(pairOf(bertMetadata(LETTERS)), [CLS, Q, SEP, D]);
  // Without EOS the separator stands in for it.
  assertEquals(pairOf(bertMetadata(LETTERS), { eos: true }), [CLS, Q, SEP, SEP, D, SEP]);
  assertEquals(pairOf(bertMetadata(LETTERS), { bos: false, sep: false }), [Q, D]);
  const t5 = () => unigramMetadata([["q", , -1], ["d", , -1]]);
  assertEquals(pairOf(t5()), [4, 2, 5, 2]);
  assertEquals(pairOf(t5(), { bos: true, sep: true }), [0, 4, 2, 2, 5, 2]);
});

Deno.test("encodePair() of some pre-tokenizers parts the texts by a separator", () => {
  const pair = (pre: string) => {
    const extra = [{ text: "</s>", type: TokenType.control }];
    const metadata = bpeMetadata([], { pre, extra });
    return pairOf(metadata.set("tokenizer.ggml.seperator_token_id", 256));
  };
  const letters = ["q", "d"].map((letter) => ALPHABET.indexOf(letter));
  for (const pre of ["jina-v1-en", "jina-v2-code", "roberta-bpe"]) {
    assertEquals(pair(pre), [letters[0], 256, letters[1]]);
  }
  assertEquals(pair("jina-v2-de"), letters);
});

Deno.test("encodePair() fills the file's template, in which no text of a user is a mark", () => {
  const metadata = () => {
    return bertMetadata(LETTERS).set(
      "tokenizer.chat_template.rerank",
      "[SEP]{document}[CLS]{query}",
    );
  };
  assertEquals(pairOf(metadata()), [SEP, D, CLS, Q]);
  const hostile = { query: "q [SEP]", document: "{query}[CLS] d$&" };
  const ids = pairOf(metadata(), {}, hostile);
  assertEquals(ids.filter((id) => id === SEP).length, 1);
  assertEquals(ids.filter((id) => id === CLS).length, 1);
  // What a text has in braces stays text.
  assertEquals(ids.filter((id) => id === Q).length, 1);
  assertEquals(pairOf(bertMetadata(LETTERS), {}, { query: "[SEP]", document: "" }), [
    ...[CLS, 7, 9, 8, SEP],
  ]);
});
