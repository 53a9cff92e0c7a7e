/** What encoders with lists of merges do otherwise than decoders. */
import { assertEquals } from "@std/assert";
import { type GgufValue, packStrings } from "../../src/gguf/mod.ts";
import { createTokenizer } from "../../src/tokenizer/mod.ts";
import { TokenType } from "../../src/tokenizer/token_types.ts";
import { ALPHABET, bpeMetadata, type Metadata } from "./tiny_vocab.ts";

function spelt(model: string, pre: string, tokens: readonly string[], merges: readonly string[]) {
  return new Map<string, GgufValue>([
    ["tokenizer.ggml.model", model],
    ["tokenizer.ggml.pre", pre],
    ["tokenizer.ggml.tokens", packStrings(tokens)],
    ["tokenizer.ggml.token_type", new Int32Array(tokens.length).fill(TokenType.normal)],
    ["tokenizer.ggml.merges", packStrings(merges)],
  ]);
}

Deno.test("encode() drops white space before the mask of some encoders", () => {
  const mask = ALPHABET.length;
  const space = ALPHABET.indexOf("Ġ");
  const a = ALPHABET.indexOf("a");
  const ids = (pre: string, changes: Record<string, string> = {}, text = "<mask>") => {
    const metadata = bpeMetadata([], { pre, extra: [{ text, type: TokenType.control }] });
    for (const [key, value] of Object.entries(changes)) metadata.set(key, value);
    return createTokenizer(metadata).encode(`a \t\v\n${text} a`, { special: true });
  };
  const swallowed = [a, mask, space, a];
  for (const pre of ["jina-v2-de", "jina-v2-es", "jina-v2-code"]) assertEquals(ids(pre), swallowed);
  for (const architecture of ["nomic-bert-moe", "jina-bert-v3"]) {
    assertEquals(ids("gpt-2", { "general.architecture": architecture }), swallowed);
  }
  assertEquals(ids("modern-bert", { "general.name": "Modern-BERT 1" }, "[MASK]"), swallowed);
  assertEquals(ids("modern-bert", {}, "[MASK]").length, 8);
  assertEquals(ids("gpt-2").length, 8);
});

Deno.test("encode() of whitespace merges characters between white space, which it drops", () => {
  const tokens = ["▁", "a", "b", "ab", "▁a", "ς", "日", "<0xC3>", "i", "x"];
  const metadata = () => spelt("whitespace", "whitespace", tokens, ["a b", "▁ a"]);
  const plain = createTokenizer(metadata().set("tokenizer.ggml.unknown_token_id", 9));
  assertEquals([plain.kind, plain.addBos], ["llama", false]);
  assertEquals(plain.encode(" ab\u3000a\u0085b\n日"), [3, 1, 2, 6]);
  assertEquals(plain.encode("▁a"), [4]);
  // What is no token is spelt in bytes as far as they are tokens, and else left out.
  assertEquals(plain.encode("aé!A"), [1, 7]);
  const lowered = createTokenizer(metadata().set("tokenizer.ggml.normalizer.lowercase", true));
  assertEquals(lowered.encode("AB xΣ"), [3, 9]);
  assertEquals(lowered.encode("ς İ"), [5, 8]);
});

Deno.test("encode() of Granite's large encoder merges spaces, too, and takes line breaks whole", () => {
  const tokens = ["<s>", "▁", "a", "▁a", "a▁", "\n", "\n\n"];
  const metadata: Metadata = spelt("gpt2", "granite-embed-multi-311m", tokens, ["a ▁", "▁ a"]);
  const tokenizer = createTokenizer(metadata.set("tokenizer.ggml.bos_token_id", 0));
  assertEquals([tokenizer.kind, tokenizer.addBos], ["llama", true]);
  assertEquals(tokenizer.encode("a a\n\na"), [4, 2, 6, 2]);
  assertEquals(tokenizer.decode([4, 2, 6, 2]), "a a\n\na");
});

Deno.test("encode() of Sarvam merges spaces, too, but takes no line breaks whole nor begins with BOS", () => {
  const tokens = ["<s>", "▁", "a", "▁a", "a▁", "\n", "\n\n"];
  const metadata: Metadata = spelt("gpt2", "sarvam-moe", tokens, ["a ▁", "▁ a"]);
  const tokenizer = createTokenizer(metadata.set("tokenizer.ggml.bos_token_id", 0));
  assertEquals([tokenizer.kind, tokenizer.addBos], ["llama", false]);
  assertEquals(tokenizer.encode("a a\n\na"), [4, 2, 5, 5, 2]);
  metadata.set("tokenizer.ggml.add_bos_token", true);
  assertEquals(createTokenizer(metadata).addBos, true);
});

Deno.test("encode() knows what spells with spaces also by the pre-tokenizer's name alone", () => {
  const tokens = ["<s>", "▁", "a", "▁a"];
  const ids = (kind: string, pre: string) =>
    createTokenizer(spelt(kind, pre, tokens, ["▁ a"])).encode("a a");
  assertEquals(ids("gpt2", "gemma4"), [2, 3]);
  assertEquals(ids("gpt2", "whitespace"), [2, 2]);
});

Deno.test("encode() of Granite's small encoder takes a word that is a token whole", () => {
  const extra = [{ text: "abc", type: TokenType.normal }];
  const metadata = bpeMetadata(["a b"], { pre: "granite-embed-multi-97m", extra });
  assertEquals(createTokenizer(metadata).encode("abc"), [257]);
});
