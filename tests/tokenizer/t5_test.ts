/** Unigram vocabularies: what text becomes before it is cut, and the likeliest way to spell it. */
import { assertEquals, assertLess, assertThrows } from "@std/assert";
import fc from "fast-check";
import { RequestError } from "../../src/base/errors.ts";
import { createTokenizer } from "../../src/tokenizer/mod.ts";
import { TokenType } from "../../src/tokenizer/token_types.ts";
import { fuzzRuns } from "../support/fuzz.ts";
import { charsMap, type Entry, unigramMetadata } from "./encoder_vocab.ts";

const PIECES: Entry[] = [
  ["▁", , -3],
  ["a", , -4],
  ["b", , -4],
  ["▁a", , -5],
  ["ab", , -6],
  ["abb", , -20],
  ["▁ab", , -8],
  ["ba", , -6],
  ["é", , -7],
  ["rare", , -30],
];
const at = (text: string) => 4 + PIECES.findIndex(([piece]) => piece === text);
const [EOS, UNK] = [2, 3];

function tokenizer(
  { prefix = true, merges = false, map = [] as [string, string][], pieces = PIECES } = {},
) {
  const metadata = unigramMetadata(pieces);
  metadata.set("tokenizer.ggml.add_space_prefix", prefix);
  metadata.set("tokenizer.ggml.remove_extra_whitespaces", merges);
  if (map.length > 0) metadata.set("tokenizer.ggml.precompiled_charsmap", charsMap(map));
  return createTokenizer(metadata);
}

const TINY = tokenizer();

Deno.test("encode() of t5 takes the tokens whose scores sum to the most", () => {
  assertEquals([TINY.kind, TINY.addBos, TINY.addEos, TINY.eosId], ["t5", false, true, EOS]);
  // "▁ab" -8 against "▁a" "b" -9 and "▁" "ab" -9.
  assertEquals(TINY.encode("ab"), [at("▁ab")]);
  // "abb" -20 is never worth it; of "▁ab" "b" and "▁a" "b" "b" the first.
  assertEquals(TINY.encode("abb"), [at("▁ab"), at("b")]);
  // Of equal ways the one whose last token is the longest: "b" "a" -8, "ba" -6; "ab" "a", "a" "ba".
  assertEquals(TINY.encode("baba"), [at("▁"), at("ba"), at("ba")]);
  assertEquals(tokenizer({ prefix: false }).encode("aba"), [at("a"), at("ba")]);
});

Deno.test("encode() of t5 makes one unknown token of a run of characters that are none", () => {
  assertEquals(TINY.encode("axyza"), [at("▁a"), UNK, at("a")]);
  assertEquals(TINY.encode("日本"), [at("▁"), UNK]);
  // It goes on across words where "▁" is no token.
  const bare = tokenizer({ pieces: [["a", , -1]] });
  assertEquals(bare.encode("x y a"), [UNK, 4]);
  assertEquals(bare.encode("x</s>y", { special: true }), [UNK, EOS, UNK]);
});

Deno.test("encode() of t5 pays 10 more for what is unknown than for the least likely token", () => {
  // "ab" "cd" -16 against an unknown -18 and "bcd".
  const ids = (score: number) => {
    const pieces: Entry[] = [["ab", , -8], ["cd", , -8], ["bcd", , score]];
    return tokenizer({ prefix: false, pieces }).encode("abcd");
  };
  assertEquals(ids(1.75), [4, 5]);
  assertEquals(ids(2.25), [UNK, 6]);
});

Deno.test("encode() of t5 puts a space before words as the file says, after marks, too", () => {
  const ids = (prefix: boolean, merges: boolean) => {
    return tokenizer({ prefix, merges }).encode("  a  a<s>a ", { special: true });
  };
  const [mark, plain, begins] = [at("▁"), at("a"), at("▁a")];
  assertEquals(ids(true, true), [begins, begins, 0, begins]);
  // Without merging it stands before the first word, behind the spaces that are there.
  assertEquals(ids(true, false), [mark, mark, begins, mark, begins, 0, begins, mark]);
  assertEquals(ids(false, false), [mark, begins, mark, begins, 0, plain, mark]);
  // llama.cpp parts merged words by spaces, the first one from what was before it, too.
  assertEquals(ids(false, true), [begins, begins, 0, begins]);
  assertEquals(tokenizer({ merges: true }).encode(" "), []);
});

Deno.test("encode() of t5 replaces characters by the file's table, the longest first", () => {
  const map: [string, string][] = [["A", "a"], ["AB", "é"], ["e\u0301", "é"], ["\t", " "]];
  map.push(["\u200b", ""], ["½", "a b"]);
  const mapped = tokenizer({ prefix: false, map });
  const ids = (text: string) => mapped.encode(text);
  assertEquals(ids("AAB"), [at("a"), at("é")]);
  assertEquals(ids("Ae\u0301"), ids("aé"));
  assertEquals(ids("a\ta\u200bb½"), ids("a aba b"));
  // What ends within a beginning is not replaced.
  assertEquals(ids("e"), [UNK]);
  assertEquals(ids("\0A"), [UNK, at("a")]);
});

Deno.test("encode() of t5 finds tokens across words", () => {
  const across = tokenizer({ pieces: [...PIECES, ["a▁b", , -1]] });
  assertEquals(across.encode("a b"), [at("▁"), 4 + PIECES.length]);
});

Deno.test("encode() of t5 spells the same word by word and in the whole text", () => {
  const across = tokenizer({ pieces: [...PIECES, ["x▁x▁x", , -500]] });
  const unit = fc.constantFrom("a", "b", "ab", " ", "  ", "é", "▁", "日", "abb", "rare");
  fc.assert(
    fc.property(fc.array(unit), (units) => {
      const text = units.join("");
      assertEquals(TINY.encode(text), across.encode(text));
    }),
    fuzzRuns(100),
  );
});

Deno.test("encode() of t5 takes user-defined tokens whole, unused ones, and no control tokens", () => {
  const { userDefined, unused, control, byte } = TokenType;
  const pieces: Entry[] = [
    ...PIECES,
    ["ud", userDefined, -99],
    ["old", unused, -1],
    ["ctl", control, -1],
    ["<0x41>", byte, -1],
  ];
  const first = 4 + PIECES.length;
  const some = tokenizer({ prefix: false, pieces });
  assertEquals(some.encode("aud"), [at("a"), first]);
  assertEquals(some.encode("old"), [first + 1]);
  assertEquals(some.encode("ctl<0x41>A"), [UNK]);
  assertEquals(some.encode("ctl", { special: true }), [first + 2]);
  // Spelt with "▁", it is found among the words only, for nothing.
  const spaced = tokenizer({ prefix: false, pieces: [...PIECES, ["a▁b", userDefined, -99]] });
  assertEquals(spaced.encode("a b"), [first]);
  assertEquals(some.decode([first, first + 1, first + 2, first + 3]), "udA");
});

Deno.test("decode() of t5 takes away the space that encoding added, streams alike", () => {
  const ids = TINY.encode("ab a b");
  assertEquals(TINY.decode([...ids, EOS]), "ab a b");
  const stream = TINY.streamDecoder({ atStart: true });
  assertEquals(ids.map((id) => stream.push(id)).join(""), "ab a b");
  assertEquals(tokenizer({ prefix: false, merges: true }).decode([at("▁a")]), "a");
  assertEquals(tokenizer({ prefix: false }).decode([at("▁a")]), " a");
});

Deno.test("encode() of t5 lives with scores that are none", () => {
  const pieces: Entry[] = [["▁", , -1], ["a", , NaN], ["b", , -Infinity], ["c", , Infinity]];
  const odd = tokenizer({ pieces });
  for (const text of ["a", "b", "abcab", "c"]) assertEquals(odd.encode(text).length > 0, true);
  // What no way leads to is unknown with all before it, whatever was read before.
  const ids = ["ccc", "a", "ca"].map((text) => odd.encode(text));
  assertEquals(ids, [[4, 7, 7, 7], [UNK], [UNK]]);
  const metadata = unigramMetadata(PIECES);
  metadata.delete("tokenizer.ggml.scores");
  const { warnings } = createTokenizer(metadata);
  assertEquals(warnings.length, 1);
});

Deno.test("encode() of t5 refuses a text that a hostile table makes endless", () => {
  const endless = tokenizer({ map: [["a", "b".repeat(200)]] });
  assertEquals(endless.encode("a").length, 201);
  const error = assertThrows(() => endless.encode("a".repeat(100_000)), RequestError);
  assertEquals([error.status, error.message.startsWith("Cannot read the text: ")], [400, true]);
});

Deno.test("encode() of t5 takes near-linear time for a million letters without a space", () => {
  const begin = performance.now();
  assertEquals(TINY.encode("b".repeat(1_000_000)).length, 1_000_001);
  assertEquals(TINY.encode(" ".repeat(500_000)).length, 500_000);
  assertLess(performance.now() - begin, 2500);
  const long = tokenizer({ pieces: [...PIECES, ["a".repeat(50_000) + "x"]] });
  assertEquals(long.encode("a".repeat(100_000)).length, 100_000);
});
