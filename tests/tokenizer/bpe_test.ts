import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { packStrings } from "../../src/gguf/mod.ts";
import { createTokenizer, splitWords } from "../../src/tokenizer/mod.ts";
import { TokenType } from "../../src/tokenizer/token_types.ts";
import { anyText, fuzzRuns } from "../support/fuzz.ts";
import { ALPHABET, bpeMetadata, learnMerges, naiveMerge } from "./tiny_vocab.ts";

const CORPUS =
  "the cat sat on the mat, the other cat thought that they sat there; héhé 我我 112211";
const MERGES = learnMerges(CORPUS, 60);

Deno.test("encode() merges as the simplest byte-pair encoder does, in every word", () => {
  const tokenizer = createTokenizer(bpeMetadata(MERGES));
  const texts = [...ALPHABET, ...new Set(MERGES.map((merge) => merge.replace(" ", "")))];
  const bytes = new TextEncoder();
  const naive = (text: string) =>
    splitWords("gpt-2", text).flatMap((word) => {
      const symbols = [...bytes.encode(word)].map((byte) => ALPHABET[byte]);
      return naiveMerge(symbols, MERGES).map((symbol) => texts.indexOf(symbol));
    });
  const unit = fc.constantFrom(
    "the",
    "cat",
    " ",
    "  ",
    "t",
    "h",
    "e",
    "é",
    "我",
    "1",
    "2",
    "a",
    "x",
  );
  fc.assert(
    fc.property(fc.array(unit), (units) => {
      const text = units.join("");
      assertEquals(tokenizer.encode(text), naive(text));
    }),
    fuzzRuns(100),
  );
});

Deno.test("decode() gives back whatever well-formed text byte-level BPE encoded", () => {
  const tokenizer = createTokenizer(bpeMetadata(MERGES));
  fc.assert(
    fc.property(anyText(), (text) => {
      assertEquals(tokenizer.decode(tokenizer.encode(text)), text);
    }),
    fuzzRuns(100),
  );
  assertEquals(tokenizer.decode(tokenizer.encode("\ufeffx\0 ")), "\ufeffx\0 ");
  assertEquals(tokenizer.decode(tokenizer.encode("a\ud800b")), "a\ufffdb");
});

Deno.test("encode() takes the most urgent merge first and the leftmost of equals", () => {
  const merges = ["b c", "a b", "a a"];
  const tokenizer = createTokenizer(bpeMetadata(merges));
  const [bc, ab, aa] = [256, 257, 258];
  const a = ALPHABET.indexOf("a");
  assertEquals(tokenizer.encode("abc"), [a, bc]);
  assertEquals(tokenizer.encode("abab"), [ab, ab]);
  assertEquals(tokenizer.encode("aaa"), [aa, a]);
});

Deno.test("encode() merges by way of symbols that are no tokens, and spells what stays", () => {
  const metadata = bpeMetadata(["a b", "ab c"]);
  const types = new Int32Array(257).fill(TokenType.normal);
  metadata.set("tokenizer.ggml.tokens", packStrings([...ALPHABET, "abc"]));
  metadata.set("tokenizer.ggml.token_type", types);
  const [a, b] = ["a", "b"].map((character) => ALPHABET.indexOf(character));
  assertEquals(createTokenizer(metadata).encode("abcab"), [256, a, b]);
});

Deno.test("encode() takes a word that is a token as it stands where llama3 does", () => {
  const extra = [{ text: "xyz", type: TokenType.normal }];
  const whole = createTokenizer(bpeMetadata(["x y"], { pre: "llama-bpe", extra }));
  assertEquals(whole.encode("xyz"), [257]);
  assertEquals(whole.encode("xyzx").length, 3);
  const merged = createTokenizer(bpeMetadata(["x y"], { pre: "qwen2", extra }));
  assertEquals(merged.encode("xyz"), [256, ALPHABET.indexOf("z")]);
});

Deno.test("encode() leaves out bytes that no token spells", () => {
  const metadata = bpeMetadata([]);
  metadata.set("tokenizer.ggml.tokens", packStrings(["a", "b"]));
  metadata.set("tokenizer.ggml.token_type", Int32Array.of(1, 1));
  assertEquals(createTokenizer(metadata).encode("axb"), [0, 1]);
});

Deno.test("encode() takes near-linear time for a word of a million letters", () => {
  const tokenizer = createTokenizer(bpeMetadata(["a a", "aa aa", "aaaa aaaa"]));
  const ids = tokenizer.encode("a".repeat(1_000_000));
  assertEquals(ids.length, 125_000);
  assertEquals(new Set(ids), new Set([258]));
});

Deno.test("addBos is what the file says, or else what its pre-tokenizer's name implies", () => {
  const addsBos = (pre: string, flag?: boolean) => {
    const metadata = bpeMetadata([], { pre }).set("tokenizer.ggml.bos_token_id", 5);
    if (flag !== undefined) metadata.set("tokenizer.ggml.add_bos_token", flag);
    return createTokenizer(metadata).addBos;
  };
  assertEquals([addsBos("gpt-2"), addsBos("gpt-2", true)], [false, true]);
  assertEquals([addsBos("llama-bpe"), addsBos("llama-bpe", false)], [true, false]);
});

Deno.test("createTokenizer() warns when the file names no pre-tokenizer, and uses default", () => {
  const metadata = bpeMetadata([]);
  metadata.delete("tokenizer.ggml.pre");
  const { warnings } = createTokenizer(metadata);
  assertEquals(warnings.length, 1);
  assertEquals(warnings[0].includes("tokenizer.ggml.pre"), true);
});
