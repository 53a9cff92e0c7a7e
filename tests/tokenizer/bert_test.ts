/** WordPiece: how text is cut into words, and words into tokens. */
import { assertEquals, assertLess } from "@std/assert";
import { createTokenizer } from "../../src/tokenizer/mod.ts";
import { type BertNormalizer, BertWords } from "../../src/tokenizer/bert_words.ts";
import { TokenType } from "../../src/tokenizer/token_types.ts";
import { bertMetadata, type Entry } from "./encoder_vocab.ts";

const PIECES: Entry[] = [
  ...["▁hello", "▁he", "llo", "▁world", "▁,", "▁.", "▁[", "▁]", "▁cls", "▁a", "b", "bc"],
  ...["▁日", "▁ᄀ", "▁é", "▁e", "a"],
].map((text): Entry => [text]);
const at = (text: string) => 5 + PIECES.findIndex(([piece]) => piece === text);
const [UNK, CLS, SEP] = [1, 2, 3];
const TINY = createTokenizer(bertMetadata(PIECES));

function wordsOf(text: string, changes: Partial<BertNormalizer> = {}): string[] {
  const cut = new BertWords({
    ...{ lowercases: true, stripsAccents: changes.lowercases ?? true },
    ...changes,
  });
  return [...cut.of(text)];
}

Deno.test("encode() of bert takes the longest token that begins a word, and then those within", () => {
  assertEquals([TINY.kind, TINY.addBos, TINY.addEos, TINY.addSeparator], [
    ...["bert", true, false, true],
  ]);
  assertEquals(TINY.encode("Hello, WORLD."), ["▁hello", "▁,", "▁world", "▁."].map(at));
  assertEquals(TINY.encode("hello hellohe"), [at("▁hello"), UNK]);
  assertEquals(TINY.encode("abbca"), ["▁a", "b", "bc", "a"].map(at));
  assertEquals(TINY.warnings, []);
  // Of two tokens that are spelt alike the first.
  assertEquals(createTokenizer(bertMetadata([["▁x"], ["▁x"]])).encode("x"), [5]);
});

Deno.test("encode() of bert makes one unknown token of a word that is not spelt to its end", () => {
  assertEquals(TINY.encode("abx a bcb"), [UNK, at("▁a"), UNK]);
  // What begins a word must be a token that does.
  assertEquals(TINY.encode("b"), [UNK]);
});

Deno.test("forEach() ends a word at white space, and stands marks and Chinese alone", () => {
  assertEquals(wordsOf("a\u00a0b\u3000c\u2028d\u0085e"), [..."abcde"]);
  assertEquals(wordsOf("don't~$5日本x¿y"), [
    ...["don", "'", "t", "~", "$", "5", "日", "本", "x", "¿", "y"],
  ]);
  // Symbols beyond ASCII, kana and Korean are no marks.
  assertEquals(wordsOf("a€b カナ €"), ["a€b", "カナ", "€"]);
  assertEquals(wordsOf("\u{2b91f}a\u{2b920}a"), ["\u{2b91f}a", "\u{2b920}", "a"]);
  assertEquals(wordsOf("😀ab"), ["😀ab"]);
});

Deno.test("forEach() drops controls, formats, private use, U+FFFD and halves of pairs", () => {
  assertEquals(wordsOf("a\0b\u200bc\u00add\ufeffe\ue000f\ufffdg\ud83dh\udc00\u{e0041}"), [
    "abcdefgh",
  ]);
  assertEquals(wordsOf("\u200b \u200d"), []);
});

Deno.test("forEach() drops accents and case, as far as the vocabulary has none", () => {
  const text = "ÀÉ e\u0301 İ ΟΔΟΣ ǆǄ";
  assertEquals(wordsOf(text), ["ae", "e", "i", "οδοσ", "ǆǆ"]);
  assertEquals(wordsOf(text, { lowercases: false }), text.split(" "));
  assertEquals(wordsOf(text, { stripsAccents: false }), ["àé", "e\u0301", "i", "οδοσ", "ǆǆ"]);
  assertEquals(wordsOf(text, { lowercases: false, stripsAccents: true }), [
    ...["AE", "e", "I", "ΟΔΟΣ", "ǆǄ"],
  ]);
  // The first of what a character is made of: llama.cpp keeps no more, of Korean, too.
  assertEquals(wordsOf("가é"), ["\u1100e"]);
});

Deno.test("createTokenizer() reads what the normalizer keeps, strip_accents following lowercase", () => {
  const withFlags = (flags: Record<string, boolean>) => {
    const metadata = bertMetadata(PIECES);
    for (const [name, value] of Object.entries(flags)) {
      metadata.set(`tokenizer.ggml.normalizer.${name}`, value);
    }
    return createTokenizer(metadata).encode("HELLO é");
  };
  assertEquals(withFlags({}), [at("▁hello"), at("▁e")]);
  assertEquals(withFlags({ lowercase: false }), [UNK, at("▁é")]);
  assertEquals(withFlags({ strip_accents: false }), [at("▁hello"), at("▁é")]);
  assertEquals(withFlags({ lowercase: false, strip_accents: true }), [UNK, at("▁e")]);
});

Deno.test("encode() of bert makes no mark of what a user wrote, unless it is asked to", () => {
  assertEquals(TINY.encode("[CLS]"), ["▁[", "▁cls", "▁]"].map(at));
  assertEquals(TINY.encode("[CLS]a[SEP]", { special: true }), [CLS, at("▁a"), SEP]);
  // Spelt without marks, it would be a word's end; and no text is unknown by its name.
  const bare = createTokenizer(bertMetadata([...PIECES, ["end", TokenType.control]]));
  assertEquals(bare.encode("aend"), [UNK]);
});

Deno.test("decode() of bert joins what goes on and parts what begins a word, streams alike", () => {
  const ids = [CLS, ...TINY.encode("hello abbc, world"), SEP];
  assertEquals(TINY.decode(ids), "hello abbc , world");
  assertEquals(TINY.decode(ids, { special: true }), "[CLS]hello abbc , world[SEP]");
  const stream = TINY.streamDecoder({ atStart: true });
  assertEquals(ids.map((id) => stream.push(id)).join("") + stream.flush(), "hello abbc , world");
  assertEquals(TINY.pieceOf(at("▁world")), "▁world");
});

Deno.test("createTokenizer() finds BERT's usual ids, and [CLS] by the name of early files", () => {
  const entries = Array.from({ length: 99 }, (_, i): Entry => [`[unused${i}]`]);
  const texts: Entry[] = [["[PAD]"], ...entries, ["[UNK]"], ["[CLS]"], ["[SEP]"], ["▁a"]];
  const metadata = bertMetadata(texts.slice(5));
  for (const name of ["bos", "unknown", "seperator"]) {
    metadata.delete(`tokenizer.ggml.${name}_token_id`);
  }
  metadata.delete("tokenizer.ggml.token_type");
  const usual = createTokenizer(metadata);
  assertEquals([usual.bosId, usual.separatorId, usual.encode("?")], [101, 102, [100]]);
  assertEquals(usual.decode([101, 103, 102, 100]), "a");
  const early = bertMetadata(PIECES).set("tokenizer.ggml.cls_token_id", CLS);
  early.delete("tokenizer.ggml.bos_token_id");
  assertEquals(createTokenizer(early).bosId, CLS);
});

Deno.test("encode() of bert takes near-linear time for a word of a million letters", () => {
  const words = ["a".repeat(1_000_000), "a" + "b".repeat(1_000_000), "\u0301".repeat(1_000_000)];
  const begin = performance.now();
  assertEquals(words.map((word) => TINY.encode(word).length), [1_000_000, 1_000_001, 0]);
  assertLess(performance.now() - begin, 2500);
  // A token of a hostile file that nearly fits at every letter.
  const long = createTokenizer(bertMetadata([...PIECES, ["a".repeat(50_000) + "x"]]));
  assertEquals(long.encode("a".repeat(200_000)).length, 200_000);
});
