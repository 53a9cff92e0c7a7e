/** PLaMo's vocabularies: tokens as they are spelt, and the cheapest way to spell a text. */
import { assertEquals, assertLess } from "@std/assert";
import { type GgufValue, packStrings, type StringArray } from "../../src/gguf/mod.ts";
import { createTokenizer } from "../../src/tokenizer/mod.ts";
import { TokenType } from "../../src/tokenizer/token_types.ts";
import { type Entry, plamoMetadata } from "./encoder_vocab.ts";

const PIECES: Entry[] = [
  ["a", , -1],
  ["b", , -1],
  [" ", , -1],
  ["ab", , -2],
  ["ba", , -2],
  ["abb", , -2],
  [" a", , -3],
  ["é", , -1],
  ["aé", , -0.00004],
];
const FIRST = 5 + 256;
const at = (text: string) => FIRST + PIECES.findIndex(([piece]) => piece === text);
const byte = (value: number) => 5 + value;

const tokenizer = (pieces: readonly Entry[] = PIECES) => createTokenizer(plamoMetadata(pieces));
const TINY = tokenizer();

Deno.test("encode() of plamo2 takes the cheapest tokens, of equal ways the longest first token", () => {
  assertEquals([TINY.kind, TINY.addBos, TINY.addEos], ["plamo2", false, false]);
  assertEquals([TINY.bosId, TINY.eosId, [...TINY.endIds]], [1, 2, [2, 4]]);
  assertEquals(TINY.warnings, []);
  assertEquals(TINY.encode("abb"), [at("abb")]);
  // "ab" "a", "a" "ba" and "a" "b" "a" cost the same.
  assertEquals(TINY.encode("aba"), [at("ab"), at("a")]);
  assertEquals(TINY.encode("bab"), [at("ba"), at("b")]);
  // " a" is dearer than " " and "a".
  assertEquals(TINY.encode(" a a"), [at(" "), at("a"), at(" "), at("a")]);
  assertEquals(TINY.encode(""), []);
});

Deno.test("encode() of plamo2 counts scores in ten-thousandths", () => {
  // "a" costs nothing there, and is as good as what costs nothing.
  const ids = (score: number) => tokenizer([["a", , score], ["b", , 0], ["ab", , 0]]).encode("ab");
  assertEquals(ids(0.00004), [FIRST + 2]);
  assertEquals(ids(0.00006), [FIRST, FIRST + 1]);
  const low: Entry[] = [["a", , -0.00016], ["b", , 0], ["ab", , -0.00014]];
  assertEquals(tokenizer(low).encode("ab"), [FIRST + 2]);
});

Deno.test("encode() of plamo2 spells what is no token in bytes, for 1000 a character", () => {
  assertEquals(TINY.encode("a€b"), [at("a"), byte(0xe2), byte(0x82), byte(0xac), at("b")]);
  assertEquals(TINY.encode("\u{1d11e}\0"), [0xf0, 0x9d, 0x84, 0x9e, 0].map(byte));
  assertEquals(TINY.encode("\ufeffa"), [...[0xef, 0xbb, 0xbf].map(byte), at("a")]);
  const ids = (score: number) => tokenizer([["xy", , score]]).encode("xy");
  assertEquals(ids(-1999.9), [FIRST]);
  assertEquals(ids(-2000), [byte(0x78), byte(0x79)]);
  assertEquals(tokenizer([["x", , -1000]]).encode("x"), [FIRST]);
  assertEquals(tokenizer([["x", , -1000.5]]).encode("x"), [byte(0x78)]);
});

Deno.test("encode() of plamo2 lives with scores that are none, and with tokens that are no text", () => {
  for (const score of [NaN, Infinity, -Infinity, 1e30]) {
    assertEquals(tokenizer([["a", , score]]).encode("a"), [byte(0x61)]);
  }
  const { control, unused, userDefined } = TokenType;
  const pieces: Entry[] = [
    ...[["ctl", control], ["old", unused], ["", , 5]] as const,
    ...[["use", userDefined, -5000], ["e", , 0], ["us", , 0]] as const,
  ];
  const some = tokenizer(pieces);
  assertEquals(some.encode("ctl").length, 3);
  assertEquals(some.encode("old").length, 3);
  assertEquals(some.encode("use"), [FIRST + 3]);
  assertEquals(some.encode("ctl", { special: true }), [FIRST]);
  assertEquals(some.encode("<|plamo:eos|>", { special: true }), [2]);
  assertEquals(some.encode("<|plamo:eos|>").includes(2), false);
});

Deno.test("encode() of plamo2 is led nowhere by a token that ends within a character", () => {
  const metadata = plamoMetadata([["a??", , 100], ["a", , -1]]);
  const tokens = metadata.get("tokenizer.ggml.tokens") as StringArray;
  const bytesAt = (index: number) =>
    index === FIRST ? Uint8Array.of(0x61, 0xe2, 0x82) : tokens.bytesAt(index);
  const { kind, length } = tokens;
  const list = { kind, length, bytesAt, at: (index: number) => tokens.at(index) };
  metadata.set("tokenizer.ggml.tokens", list as StringArray);
  const broken = createTokenizer(metadata);
  assertEquals(broken.encode("a€"), [FIRST + 1, byte(0xe2), byte(0x82), byte(0xac)]);
});

Deno.test("createTokenizer() says of a plamo2 vocabulary that lacks bytes that texts lose them", () => {
  const bare = new Map<string, GgufValue>([
    ["tokenizer.ggml.model", "plamo2"],
    ["tokenizer.ggml.tokens", packStrings(["<|plamo:unk|>", "a", "ab"])],
  ]);
  const { warnings, encode } = createTokenizer(bare);
  assertEquals(warnings.length, 2);
  assertEquals(typeof encode, "function");
  assertEquals(createTokenizer(bare).encode("abxa"), [2, 0, 1]);
});

Deno.test("createTokenizer() knows the usual ids of plamo2 where a file does not say them", () => {
  const names = ["unk", "bos", "eos"].map((name) => `<|plamo:${name}|>`);
  const { bosId, eosId } = createTokenizer(
    new Map<string, GgufValue>([
      ["tokenizer.ggml.model", "plamo2"],
      ["tokenizer.ggml.tokens", packStrings([...names, "a"])],
    ]),
  );
  assertEquals([bosId, eosId], [1, 2]);
});

Deno.test("decode() of plamo2 gives back what was encoded, streams alike", () => {
  const text = " aé ab€\u{1d11e}\n  b";
  const ids = TINY.encode(text);
  assertEquals(TINY.decode([1, ...ids, 2]), text);
  assertEquals(TINY.decode([1, ...ids], { special: true }), "<|plamo:bos|>" + text);
  const stream = TINY.streamDecoder({ atStart: true });
  assertEquals(ids.map((id) => stream.push(id)).join("") + stream.flush(), text);
  assertEquals(TINY.pieceOf(at(" a")), " a");
});

Deno.test("encodeSteps() of plamo2 stops on the way, and takes near-linear time", () => {
  const steps = TINY.encodeSteps("ab€ ".repeat(1 << 14));
  let step = steps.next(), count = 0;
  for (; !step.done; step = steps.next()) count++;
  assertEquals([count > 20, step.value.length], [true, 5 << 14]);
  const begin = performance.now();
  const long = tokenizer([...PIECES, ["a".repeat(50_000) + "x"]]);
  assertEquals(long.encode("a".repeat(1_000_000)).length, 1_000_000);
  assertLess(performance.now() - begin, 2500);
});
