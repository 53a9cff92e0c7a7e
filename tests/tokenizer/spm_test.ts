import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { packStrings } from "../../src/gguf/mod.ts";
import { createTokenizer } from "../../src/tokenizer/mod.ts";
import { TokenType } from "../../src/tokenizer/token_types.ts";
import { anyText, fuzzRuns } from "../support/fuzz.ts";
import { type Metadata, spmMetadata } from "./tiny_vocab.ts";

/** Ids from 259 on, in this order. */
const PIECES = [
  { text: "▁", score: -9 },
  { text: "a", score: -10 },
  { text: "b", score: -11 },
  { text: "▁a", score: -2 },
  { text: "ab", score: -1 },
  { text: "▁ab", score: -3 },
  { text: "▁▁", score: -4 },
  { text: "ha", score: -5 },
];
const [SPACE, A, B, SPACE_A, AB, SPACE_AB, TWO_SPACES, HA] = PIECES.map((_, i) => 259 + i);
/** The id of a byte token. */
const byte = (value: number) => 3 + value;

const TINY = createTokenizer(spmMetadata(PIECES));

Deno.test("encode() merges the pair with the highest score first, the leftmost of equals", () => {
  assertEquals(TINY.encode("ab"), [SPACE_AB]);
  assertEquals(TINY.encode("aab"), [SPACE_A, AB]);
  assertEquals(TINY.encode("   a"), [TWO_SPACES, SPACE, SPACE_A]);
});

Deno.test("encode() merges characters that are no tokens into one that is", () => {
  assertEquals(TINY.encode("ha"), [SPACE, HA]);
});

Deno.test("encode() spells what is no token in bytes, and as unknown without byte tokens", () => {
  assertEquals(TINY.encode("é\n"), [SPACE, byte(0xc3), byte(0xa9), byte(0x0a)]);
  const bare = spmMetadata([]);
  const texts = ["<unk>", "<s>", "</s>", "▁", "a"];
  bare.set("tokenizer.ggml.tokens", packStrings(texts));
  bare.set("tokenizer.ggml.token_type", Int32Array.of(2, 3, 3, 1, 1));
  bare.set("tokenizer.ggml.scores", new Float32Array(5));
  assertEquals(createTokenizer(bare).encode("aéb"), [3, 4, 0, 0]);
});

Deno.test("encode() puts a space before a text unless it is empty or the file says no", () => {
  assertEquals(TINY.encode(""), []);
  assertEquals(TINY.encode(" a"), [SPACE, SPACE_A]);
  const bare = createTokenizer(spmMetadata(PIECES).set("tokenizer.ggml.add_space_prefix", false));
  assertEquals(bare.encode("a a"), [A, SPACE_A]);
  assertEquals(bare.decode([SPACE_A]), " a");
});

Deno.test("encode() puts a space behind special tokens too, whatever kind", () => {
  const extra = [{ text: "<user>", type: TokenType.userDefined }];
  const tokenizer = createTokenizer(spmMetadata(PIECES, { extra }));
  const user = 259 + PIECES.length;
  assertEquals(tokenizer.encode("<s>a</s>b", { special: true }), [1, SPACE_A, 2, SPACE, B]);
  assertEquals(tokenizer.encode("a<user>a"), [SPACE_A, user, SPACE_A]);
});

Deno.test("encode() removes extra spaces where the file says so", () => {
  const flag = "tokenizer.ggml.remove_extra_whitespaces";
  const tokenizer = createTokenizer(spmMetadata(PIECES).set(flag, true));
  assertEquals(tokenizer.encode("  a   a "), [SPACE_A, SPACE_A]);
  assertEquals(tokenizer.encode("   "), []);
});

Deno.test("encode() merges the same word by word and in the whole text", () => {
  // A token across words forbids cutting at spaces; no merge leads to this one.
  const across = createTokenizer(spmMetadata([...PIECES, { text: "b▁b▁b", score: -20 }]));
  const unit = fc.constantFrom("a", "b", "ab", " ", "  ", "h", "é", "▁");
  fc.assert(
    fc.property(fc.array(unit), (units) => {
      const text = units.join("");
      assertEquals(TINY.encode(text), across.encode(text));
    }),
    fuzzRuns(100),
  );
});

Deno.test("encode() finds tokens across words", () => {
  const across = [{ text: "b▁", score: 0 }, { text: "b▁b", score: 0 }];
  const ids = createTokenizer(spmMetadata([...PIECES, ...across])).encode("b b");
  assertEquals(ids, [SPACE, 259 + PIECES.length + 1]);
});

Deno.test("decode() gives back whatever well-formed text SentencePiece encoded", () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      assertEquals(TINY.decode(TINY.encode(text)), text.replaceAll("▁", " "));
    }),
    fuzzRuns(100),
  );
});

Deno.test("decode() takes away the space that encoding added, at the start and behind BOS", () => {
  assertEquals(TINY.decode([SPACE_AB, SPACE_A]), "ab a");
  assertEquals(TINY.decode([1, SPACE_AB, SPACE_A, 2]), "ab a");
  assertEquals(TINY.decode([1, TWO_SPACES, A]), " a");
  assertEquals(TINY.decode([1, SPACE_AB, 2], { special: true }), "<s>ab</s>");
});

Deno.test("encode() takes near-linear time for a million letters without a space", () => {
  assertEquals(TINY.encode("b".repeat(1_000_000)).length, 1_000_001);
  assertEquals(TINY.encode("ab".repeat(500_000)).length, 500_000);
  assertEquals(TINY.encode(" ".repeat(1_000_000)).length, 500_001);
});

Deno.test("createTokenizer() finds SentencePiece's usual ids when the file names none", () => {
  const metadata: Metadata = spmMetadata(PIECES);
  for (const name of ["bos", "eos", "unknown"]) metadata.delete(`tokenizer.ggml.${name}_token_id`);
  metadata.delete("tokenizer.ggml.token_type");
  const tokenizer = createTokenizer(metadata);
  assertEquals([tokenizer.bosId, tokenizer.eosId, tokenizer.addBos], [1, 2, true]);
  assertEquals(tokenizer.encode("<s>é").includes(1), false);
  assertEquals(tokenizer.decode(tokenizer.encode("<s>é")), "<s>é");
});
