import { assert, assertEquals, assertThrows } from "@std/assert";
import { encodeGguf, getNumber, getNumbers, getStrings, parseGguf } from "../../src/gguf/mod.ts";
import type { GgufFile, MetadataEntry } from "../../src/gguf/mod.ts";
import { bytePairVocabulary, sentencePieceVocabulary } from "../../src/synth/vocabulary.ts";

function parsed(metadata: MetadataEntry[]): GgufFile["metadata"] {
  return parseGguf(encodeGguf({ metadata, tensors: [] })).metadata;
}

for (const size of [400, 32_000]) {
  Deno.test(`sentencePieceVocabulary(${size}) has unique, reachable pieces`, () => {
    const metadata = parsed(sentencePieceVocabulary(size));
    const tokens = [...getStrings(metadata, "tokenizer.ggml.tokens")];
    const scores = getNumbers(metadata, "tokenizer.ggml.scores");
    const types = getNumbers(metadata, "tokenizer.ggml.token_type");
    const known = new Set(tokens);
    assertEquals([tokens.length, known.size, scores.length, types.length], [
      size,
      size,
      size,
      size,
    ]);
    assertEquals(tokens.slice(0, 4), ["<unk>", "<s>", "</s>", "<0x00>"]);
    assertEquals([tokens[258], ...types.slice(0, 3), types[258]], ["<0xFF>", 2, 3, 3, 6]);
    for (const [id, token] of tokens.entries()) {
      if (id < 259) continue;
      assertEquals(types[id], 1);
      assert(scores[id] < scores[id - 1] || id === 259, `score of ${token}`);
      const letters = [...token];
      const isReachable = letters.length === 1 || known.has(letters.slice(0, -1).join(""));
      assert(isReachable, `${token} is no piece and a letter`);
    }
  });
}

Deno.test("sentencePieceVocabulary() refuses a size that cannot hold the alphabet", () => {
  assertThrows(() => sentencePieceVocabulary(300), Error, "a vocabulary of 300 pieces");
});

Deno.test("bytePairVocabulary() has Qwen2's size and parts, and merges of known pieces", () => {
  const metadata = parsed(bytePairVocabulary(151_936));
  const tokens = [...getStrings(metadata, "tokenizer.ggml.tokens")];
  const types = getNumbers(metadata, "tokenizer.ggml.token_type");
  const known = new Set(tokens);
  assertEquals([tokens.length, known.size, types.length], [151_936, 151_936, 151_936]);
  assertEquals(tokens[getNumber(metadata, "tokenizer.ggml.bos_token_id")], "<|endoftext|>");
  assertEquals(tokens[getNumber(metadata, "tokenizer.ggml.eos_token_id")], "<|im_end|>");
  assertEquals([types[151_643], types[151_645], types[151_646]], [3, 3, 5]);
  const merges = [...getStrings(metadata, "tokenizer.ggml.merges")];
  assertEquals(merges.length, 151_643 - 256);
  for (const [index, merge] of merges.entries()) {
    const [left, right] = merge.split(" ");
    const isKnown = known.has(left) && known.has(right) && tokens[256 + index] === left + right;
    assert(isKnown, `merge ${merge}`);
  }
});

Deno.test("bytePairVocabulary() has GPT-2's stand-in for every byte", () => {
  const tokens = getStrings(parsed(bytePairVocabulary(1000)), "tokenizer.ggml.tokens");
  const first = Array.from({ length: 256 }, (_, id) => tokens.at(id));
  assertEquals([first[0], first[93], first[94], first[187], first[188], first[255]], [
    "!",
    "~",
    "¡",
    "ÿ",
    "Ā",
    "Ń",
  ]);
  // A space becomes Ġ, a line feed Ċ.
  assertEquals(first[188 + 32], "Ġ");
  assertEquals(first[188 + 10], "Ċ");
});
