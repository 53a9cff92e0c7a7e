/** RWKV's vocabularies: escaped bytes, and the longest token that fits. */
import { assertEquals } from "@std/assert";
import { type GgufValue, packStrings } from "../../src/gguf/mod.ts";
import { createTokenizer } from "../../src/tokenizer/mod.ts";
import { TokenType } from "../../src/tokenizer/token_types.ts";
import { Rng } from "../support/rng.ts";

/** As Python shows bytes: quotes are escaped in strings that have both kinds. */
const PIECES = [
  ...[" the", " there", "the", "\\n\\n", "\\xc3\\xa9", "\\\\n", "\\'", "ab", "abc", "bcd"],
  ...["\\xe2\\x82\\xac", "\\x00\\x00", "\\t\\t", "x\\x4", "\\"],
];
const BYTES = Array.from({ length: 256 }, (_, byte) => escaped(byte));
const at = (piece: string) => 257 + PIECES.indexOf(piece);
const byte = (text: string) => 1 + text.charCodeAt(0);

function metadata(): Map<string, GgufValue> {
  const tokens = ["<s>", ...BYTES, ...PIECES, "[PAD272]"];
  const types = new Int32Array(tokens.length).fill(TokenType.normal);
  types[0] = TokenType.control;
  types[tokens.length - 1] = TokenType.unused;
  return new Map<string, GgufValue>([
    ["tokenizer.ggml.model", "rwkv"],
    ["tokenizer.ggml.tokens", packStrings(tokens)],
    ["tokenizer.ggml.token_type", types],
    ["tokenizer.ggml.bos_token_id", 0],
    ["tokenizer.ggml.eos_token_id", 0],
    ["tokenizer.ggml.eot_token_id", 257 + PIECES.indexOf("\\n\\n")],
  ]);
}

const TINY = createTokenizer(metadata());

Deno.test("encode() of rwkv takes the longest token that the rest of the text begins with", () => {
  assertEquals([TINY.kind, TINY.addBos, TINY.warnings], ["rwkv", false, []]);
  assertEquals(TINY.encode(" there the"), [at(" there"), at(" the")]);
  assertEquals(TINY.encode("abcd"), [at("abc"), byte("d")]);
  assertEquals(TINY.encode("abd"), [at("ab"), byte("d")]);
  assertEquals(TINY.encode("thé"), [byte("t"), byte("h"), at("\\xc3\\xa9")]);
});

Deno.test("encode() of rwkv reads escapes as the bytes they stand for", () => {
  assertEquals(TINY.encode("\n\n\n"), [at("\\n\\n"), byte("\n")]);
  assertEquals(TINY.encode("\\n'\0\0€"), [
    ...[at("\\\\n"), at("\\'"), at("\\x00\\x00"), at("\\xe2\\x82\\xac")],
  ]);
  assertEquals(TINY.encode("\u{1d11e}").map((id) => id - 1), [0xf0, 0x9d, 0x84, 0x9e]);
  // What ends within an escape ends there, and is no trap.
  assertEquals(TINY.encode("xx4"), [at("x\\x4")]);
  assertEquals(TINY.bytesOf(at("\\")).length, 0);
});

Deno.test("encode() of rwkv makes no token of a user's text that is none of text", () => {
  assertEquals(TINY.encode("<s>"), ["<", "s", ">"].map(byte));
  assertEquals(TINY.encode("<s>", { special: true }), [0]);
  assertEquals(TINY.encode("[PAD272]").length, 8);
  assertEquals([...TINY.endIds].toSorted((a, b) => a - b), [0, at("\\n\\n")]);
  assertEquals(TINY.decode([0, at("abc"), 272]), "abc");
});

Deno.test("encode() of rwkv agrees with a search of all tokens, of equal ones the last, and decode() gives the text back", () => {
  const rng = new Rng(5);
  const parts = [
    " the",
    " there",
    "a",
    "b",
    "c",
    "d",
    "\n",
    "é",
    "€",
    "\0",
    "\t",
    "\\n",
    "'",
    "x4",
  ];
  const spelt = Array.from({ length: 272 }, (_, id) => TINY.bytesOf(id));
  for (let run = 0; run < 50; run++) {
    const text = Array.from({ length: rng.int(30) }, () => parts[rng.int(parts.length)]).join("");
    const bytes = new TextEncoder().encode(text);
    const expected: number[] = [];
    for (let from = 0; from < bytes.length;) {
      const fits = spelt.map((own, id) => ({ id, length: own.length }))
        .filter(({ id, length }) =>
          length > 0 && spelt[id].every((value, i) => value === bytes[from + i])
        )
        .reduce((a, b) => b.length >= a.length ? b : a);
      expected.push(fits.id);
      from += fits.length;
    }
    assertEquals(TINY.encode(text), expected, JSON.stringify(text));
    assertEquals(TINY.decode(expected), text);
  }
});

Deno.test("createTokenizer() says of an rwkv vocabulary that lacks bytes that texts lose them", () => {
  const some = new Map<string, GgufValue>([
    ["tokenizer.ggml.model", "rwkv"],
    ["tokenizer.ggml.tokens", packStrings(["a", "ab"])],
  ]);
  const { warnings, encode } = createTokenizer(some);
  assertEquals(warnings, ["255 bytes are no token: texts lose them"]);
  assertEquals(typeof encode, "function");
  assertEquals(createTokenizer(some).encode("abba"), [1, 0]);
});

/** A byte as Python shows it. */
function escaped(value: number): string {
  const named = new Map([[0x09, "\\t"], [0x0a, "\\n"], [0x0d, "\\r"], [0x5c, "\\\\"]]);
  const isPlain = value >= 0x20 && value < 0x7f;
  return named.get(value) ??
    (isPlain ? String.fromCharCode(value) : `\\x${value.toString(16).padStart(2, "0")}`);
}

Deno.test("encodeSteps() of rwkv stops on the way", () => {
  const steps = TINY.encodeSteps(" the".repeat(1 << 15));
  let step = steps.next(), count = 0;
  for (; !step.done; step = steps.next()) count++;
  assertEquals([count, step.value.length], [7, 1 << 15]);
});
