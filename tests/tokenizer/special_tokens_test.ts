import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { createTokenizer, SPECIAL_TOKEN_BREAKER } from "../../src/tokenizer/mod.ts";
import { TokenType } from "../../src/tokenizer/token_types.ts";
import { fuzzRuns } from "../support/fuzz.ts";
import { bpeMetadata, spmMetadata } from "./tiny_vocab.ts";

const EXTRA = [
  { text: "<|im_start|>", type: TokenType.control },
  { text: "<|im_end|>", type: TokenType.control },
  { text: "<|im", type: TokenType.control },
  { text: "<tool>", type: TokenType.userDefined },
  { text: "   ", type: TokenType.userDefined },
  { text: "<pad>", type: TokenType.unused },
  { text: "<nothing>", type: TokenType.unknown },
];
const [IM_START, IM_END, IM, TOOL, SPACES, , NOTHING] = EXTRA.map((_, i) => 256 + i);
const BPE = createTokenizer(bpeMetadata([], { extra: EXTRA }));
/** The id of an ASCII character's byte, as ASCII begins the byte alphabet. */
const idsOf = (text: string) => [...new TextEncoder().encode(text)];

Deno.test("encode() takes control tokens for text unless special is set", () => {
  assertEquals(BPE.encode("<|im_end|>"), idsOf("<|im_end|>"));
  assertEquals(BPE.encode("<|im_end|>", { special: true }), [IM_END]);
  assertEquals(BPE.encode("<nothing>"), idsOf("<nothing>"));
  assertEquals(BPE.encode("<nothing>", { special: true }), [NOTHING]);
  assertEquals(BPE.encode("<pad>", { special: true }), idsOf("<pad>"));
});

Deno.test("encode() finds user-defined tokens in any text", () => {
  assertEquals(BPE.encode("a<tool>    b"), [...idsOf("a"), TOOL, SPACES, ...idsOf(" b")]);
});

Deno.test("encode() prefers the longest special token, at any place", () => {
  const ids = BPE.encode("x<|im_start|><|im<|im_e<|im_end|>", { special: true });
  assertEquals(ids, [...idsOf("x"), IM_START, IM, IM, ...idsOf("_e"), IM_END]);
});

Deno.test("encode() lets broken special tokens stay text and drops the breaker", () => {
  const broken = `<${SPECIAL_TOKEN_BREAKER}|im_end|>`;
  assertEquals(BPE.encode(broken, { special: true }), idsOf("<|im_end|>"));
  assertEquals(BPE.encode(SPECIAL_TOKEN_BREAKER, { special: true }), []);
  const tool = `<to${SPECIAL_TOKEN_BREAKER}ol>`;
  assertEquals(BPE.encode(tool, { special: true }), idsOf("<tool>"));
});

Deno.test("encode() keeps characters whose UTF-16 begins with the breaker's unit", () => {
  const linearB = "\u{10000}";
  assertEquals(linearB[0], SPECIAL_TOKEN_BREAKER);
  assertEquals(BPE.decode(BPE.encode(linearB, { special: true })), linearB);
});

Deno.test("encode() never gives a control token to broken or plain text, whatever merges", () => {
  const pieces = ["<", "s", ">", "<s", "s>", "<s>", "/s>", "</s>"].map((text) => ({
    text,
    score: 0,
  }), fuzzRuns(100));
  // The vocabulary has every step to "<s>", which is also the text of a control token.
  const spm = createTokenizer(spmMetadata(pieces));
  const unit = fc.constantFrom("<s>", "</s>", "<", "s", ">", "/", " ", "<unk>");
  fc.assert(
    fc.property(fc.array(unit), (units) => {
      const plain = spm.encode(units.join(""));
      const broken = spm.encode(units.join(SPECIAL_TOKEN_BREAKER).replace(/(?<=<)/g, "\ud800"), {
        special: true,
      });
      for (const id of [...plain, ...broken]) assertEquals(id <= 2, false);
    }),
    fuzzRuns(100),
  );
});

Deno.test("encode() lets Phi 3's special tokens swallow the white space behind them", () => {
  const metadata = bpeMetadata([], { extra: EXTRA });
  const plain = createTokenizer(metadata).encode("<|im_end|>\n a", { special: true });
  assertEquals(plain, [IM_END, ...createTokenizer(metadata).encode("\n a")]);
  const phi = createTokenizer(metadata.set("general.name", "Phi-3 mini"));
  assertEquals(phi.encode("<|im_end|>\n a", { special: true }), [IM_END, ...idsOf("a")]);
});

Deno.test("specialTexts lists what user text must not become", () => {
  assertEquals(
    new Set(BPE.specialTexts),
    new Set(["<|im_start|>", "<|im_end|>", "<|im", "<tool>", "   ", "<nothing>"]),
  );
});

Deno.test("endIds holds the named ids and control tokens known by their text", () => {
  const extra = [
    { text: "<|eot_id|>", type: TokenType.control },
    { text: "<|im_end|>", type: TokenType.userDefined },
    { text: "<|start|>", type: TokenType.control },
  ];
  const metadata = bpeMetadata([], { extra }).set("tokenizer.ggml.eos_token_id", 258);
  const tokenizer = createTokenizer(metadata.set("tokenizer.ggml.eot_token_id", 7));
  assertEquals(tokenizer.endIds, new Set([258, 7, 256, 257]));
  assertEquals(tokenizer.encode("<|im_end|>").includes(257), false);
});

Deno.test("endIds holds what begins a result of a function: FunctionGemma's answers end there", () => {
  const extra = [{ text: "<start_function_response>", type: TokenType.control }];
  assertEquals(createTokenizer(bpeMetadata([], { extra })).endIds, new Set([256]));
});

Deno.test("endIds holds what ends answers of Solar, MiniMax and others, whatever its type", () => {
  const texts = ["<|flush|>", "<|calls|>", "[e~[", "_<EOT>"];
  for (const type of [TokenType.control, TokenType.userDefined, TokenType.normal]) {
    const extra = texts.map((text) => ({ text, type }));
    const { endIds } = createTokenizer(bpeMetadata([], { extra }));
    assertEquals(endIds, new Set([256, 257, 258, 259]), `${type}`);
  }
});

Deno.test("endIds leaves out <|end|> where <|return|> ends the answer", () => {
  const extra = ["<|end|>", "<|return|>", "<|call|>"].map((text) => ({ text, type: 3 }));
  assertEquals(createTokenizer(bpeMetadata([], { extra })).endIds, new Set([257, 258]));
});

Deno.test("endIds leaves out <|end|> where it only ends Solar's thoughts", () => {
  const idsOf = (...texts: string[]) => {
    const extra = texts.map((text) => ({ text, type: 3 }));
    return createTokenizer(bpeMetadata([], { extra })).endIds;
  };
  for (const call of ["<|calls|>", "<|call|>"]) {
    assertEquals(idsOf("<|end|>", "<|flush|>", call), new Set([257, 258]), call);
  }
  for (const other of ["<|flush|>", "<|calls|>", "<|call|>", "<|return|>"]) {
    assertEquals(idsOf("<|end|>", other), new Set([256, 257]), other);
  }
});
