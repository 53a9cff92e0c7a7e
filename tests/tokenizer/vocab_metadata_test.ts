import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufValue, packStrings, type StringArray } from "../../src/gguf/mod.ts";
import { createTokenizer, type LoadedTokenizer } from "../../src/tokenizer/mod.ts";
import { TokenType } from "../../src/tokenizer/token_types.ts";
import { anyText, fuzzRuns } from "../support/fuzz.ts";
import { ALPHABET, bpeMetadata, type Metadata, spmMetadata } from "./tiny_vocab.ts";

const KEY = "tokenizer.ggml.";

Deno.test("createTokenizer() refuses other kinds of tokenizers by their name", () => {
  for (const kind of ["plamo", "hybriddna", ""]) {
    const metadata = bpeMetadata([]).set(`${KEY}model`, kind);
    assertThrows(() => createTokenizer(metadata), UnsupportedModelError, `"${kind}"`);
  }
});

Deno.test("createTokenizer() refuses an unknown pre-tokenizer by its name", () => {
  const metadata = bpeMetadata([], { pre: "elvish" });
  assertThrows(() => createTokenizer(metadata), UnsupportedModelError, '"elvish"');
});

Deno.test("createTokenizer() refuses missing keys, wrong types and arrays of wrong length", () => {
  const faults: readonly (readonly [key: string, value: GgufValue | undefined, bpe: boolean])[] = [
    ["model", 7, true],
    ["tokens", undefined, true],
    ["tokens", Uint8Array.of(1), true],
    ["tokens", packStrings([]), false],
    ["token_type", new Int32Array(3), true],
    ["token_type", "normal", false],
    ["scores", new Float32Array(3), false],
    ["merges", undefined, true],
    ["merges", new Int32Array(3), true],
    ["bos_token_id", "<s>", false],
    ["add_bos_token", 1, false],
    ["pre", 3, true],
  ];
  for (const [name, value, isBpe] of faults) {
    const metadata = isBpe ? bpeMetadata([]) : spmMetadata([]);
    if (value === undefined) metadata.delete(KEY + name);
    else metadata.set(KEY + name, value);
    assertThrows(() => createTokenizer(metadata), ModelFormatError, KEY + name);
  }
});

// fault 21: BOS and EOS that no token has.
Deno.test("createTokenizer() gets over ids that no token has, and warns", () => {
  const metadata = spmMetadata([]);
  for (const name of ["bos", "eos", "unknown"]) metadata.set(`${KEY}${name}_token_id`, 4_000_000);
  metadata.set(`${KEY}tokens`, packStrings(Array.from({ length: 259 }, (_, id) => `t${id}`)));
  const { bosId, eosId, addBos, endIds, warnings } = createTokenizer(metadata);
  assertEquals([bosId, eosId, addBos, endIds.size], [null, null, false, 0]);
  assertEquals(warnings.filter((warning) => warning.includes("4000000")).length, 3);
});

// fault 21: `<0x-1>` and its like.
Deno.test("createTokenizer() takes byte tokens that name no byte for text", () => {
  const extra = ["<0x-1>", "<0xZZ>", "<0x1>", "<0x100>"].map((text) => ({
    text,
    type: TokenType.byte,
  }), fuzzRuns(100));
  const tokenizer = createTokenizer(spmMetadata([], { extra }));
  extra.forEach(({ text }, i) => assertEquals(tokenizer.decode([259 + i]), text));
  assertEquals(tokenizer.decode(tokenizer.encode("<0xZZ>")), "<0xZZ>");
});

// fault 21: a token twice.
Deno.test("createTokenizer() gives the first of two equal tokens, and decodes both", () => {
  const pieces = [{ text: "▁", score: 0 }, { text: "x", score: 0 }, { text: "x", score: 5 }];
  const tokenizer = createTokenizer(spmMetadata(pieces));
  assertEquals(tokenizer.encode("x"), [259, 260]);
  assertEquals(tokenizer.decode([261]), "x");
});

// fault 21: merges that refer to nothing.
Deno.test("createTokenizer() takes merges that refer to nothing, or are none, as they come", () => {
  const merges = ["q r", "qr qr", "nonsense", "", " ", "a ", " a", "a  b", "\u4e00 x", "a b c"];
  const metadata = bpeMetadata([]).set(`${KEY}merges`, packStrings(merges));
  const tokenizer = createTokenizer(metadata);
  assertEquals(tokenizer.encode("qrqr").map((id) => tokenizer.decode([id])).join(""), "qrqr");
});

// fault 21: tokens of invalid UTF-8.
Deno.test("createTokenizer() takes tokens of invalid UTF-8 and of no bytes", () => {
  const tokens = [Uint8Array.of(0xff, 0xc3), new Uint8Array(), Uint8Array.of(0xe2, 0x96)];
  const metadata = bpeMetadata([]).set(`${KEY}tokens`, rawStrings(tokens));
  metadata.delete(`${KEY}token_type`);
  const tokenizer = createTokenizer(metadata);
  assertEquals([...tokenizer.bytesOf(0)], [0xff, 0xc3]);
  assertEquals([tokenizer.decode([0, 1, 2]), tokenizer.pieceOf(2)], [
    "\ufffd\ufffd\ufffd",
    "\ufffd",
  ]);
  assertEquals(createTokenizer(new Map(metadata).set(`${KEY}model`, "llama")).encode("x"), []);
});

Deno.test("createTokenizer() takes linear time for tokens that are all parts of each other", () => {
  const pieces = Array.from({ length: 4000 }, (_, i) => ({ text: "a".repeat(i + 1), score: -i }));
  const tokenizer = createTokenizer(spmMetadata(pieces));
  const text = "a".repeat(10_000);
  assertEquals(tokenizer.decode(tokenizer.encode(text)), text);
});

Deno.test("createTokenizer() ranks scores that are no numbers last", () => {
  const pieces = [["a", 0], ["b", 0], ["c", 0], ["ab", NaN], ["bc", -9]] as const;
  const metadata = spmMetadata(pieces.map(([text, score]) => ({ text, score })));
  const tokenizer = createTokenizer(metadata.set(`${KEY}add_space_prefix`, false));
  assertEquals(tokenizer.encode("abc"), [259, 263]);
});

Deno.test("a tokenizer of any vocabulary encodes and decodes, or is refused clearly", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      ...ALPHABET,
      "▁",
      "▁▁",
      "<s>",
      "</s>",
      "<0x41>",
      "<0x-1>",
      "",
      "ab",
      "<|im_end|>",
    ),
    anyText(),
  );
  const vocab = fc.record({
    kind: fc.constantFrom("llama", "gpt2", "bert", "t5", "whitespace"),
    tokens: fc.array(piece, { maxLength: 40 }),
    types: fc.array(fc.integer({ min: -1, max: 9 }), { minLength: 40, maxLength: 40 }),
    scores: fc.array(fc.float(), { minLength: 40, maxLength: 40 }),
    merges: fc.array(fc.tuple(piece, piece).map((pair) => pair.join(" "))),
    bos: fc.integer({ min: -3, max: 50 }),
  });
  fc.assert(
    fc.property(vocab, anyText(), (vocab, text) => {
      const tokenizer = createOrRefuse(
        new Map<string, GgufValue>([
          [`${KEY}model`, vocab.kind],
          [`${KEY}tokens`, packStrings(vocab.tokens)],
          [`${KEY}token_type`, Int32Array.from(vocab.types.slice(0, vocab.tokens.length))],
          [`${KEY}scores`, Float32Array.from(vocab.scores.slice(0, vocab.tokens.length))],
          [`${KEY}merges`, packStrings(vocab.merges)],
          [`${KEY}bos_token_id`, vocab.bos],
        ]),
      );
      if (tokenizer === null) return assertEquals(vocab.tokens.length, 0);
      const ids = tokenizer.encode(text + vocab.tokens.join(" "), { special: true });
      for (const id of ids) assertEquals(id >= 0 && id < vocab.tokens.length, true);
      assertEquals(typeof tokenizer.decode(ids, { special: true }), "string");
    }),
    fuzzRuns(100),
  );
});

function createOrRefuse(metadata: Metadata): LoadedTokenizer | null {
  try {
    return createTokenizer(metadata);
  } catch (error) {
    if (error instanceof ModelFormatError) return null;
    throw error;
  }
}

/** Strings that need not be UTF-8. */
function rawStrings(bytes: readonly Uint8Array[]): StringArray {
  const at = (index: number) => new TextDecoder().decode(bytes[index]);
  return {
    kind: "strings",
    length: bytes.length,
    at,
    bytesAt: (index) => bytes[index],
    [Symbol.iterator]: () => bytes.map((_, index) => at(index))[Symbol.iterator](),
  };
}
