/** Tokens spelt as SentencePiece spells them, merged by a list: Gemma 4. */
import { assertEquals } from "@std/assert";
import { packStrings } from "../../src/gguf/mod.ts";
import { createTokenizer } from "../../src/tokenizer/mod.ts";
import { TokenType } from "../../src/tokenizer/token_types.ts";
import { type ExtraToken, spmMetadata } from "./tiny_vocab.ts";

const PIECES = ["▁", "a", "b", "ab", "b▁", "▁a", "a▁a", "\n", "\n\n"];
const [SPACE, A, B, AB, , SPACE_A, A_A, BREAK, TWO_BREAKS] = PIECES.map((_, i) => 259 + i);
/** The fourth is of a symbol that is no token. */
const MERGES = ["a b", "▁ a", "a ▁a", "b b"];
const byte = (value: number) => 3 + value;

function gemma4(extra: readonly ExtraToken[] = []) {
  const metadata = spmMetadata(PIECES.map((text) => ({ text, score: 0 })), { extra });
  metadata.set("tokenizer.ggml.model", "gemma4");
  metadata.set("tokenizer.ggml.merges", packStrings(MERGES));
  metadata.delete("tokenizer.ggml.scores");
  return metadata;
}

const TINY = createTokenizer(gemma4());

Deno.test("encode() of gemma4 merges by the list, over spaces, and puts none before a text", () => {
  assertEquals([TINY.addBos, TINY.warnings], [true, []]);
  assertEquals(TINY.encode("ab a"), [AB, SPACE_A]);
  assertEquals(TINY.encode("a a"), [A_A]);
  assertEquals(TINY.encode(" a  b"), [SPACE_A, SPACE, SPACE, B]);
  assertEquals(TINY.encode("a▁a"), [A_A]);
  assertEquals(TINY.decode([A_A, SPACE, AB]), "a a ab");
});

Deno.test("a text of gemma4 begins with BOS also where its file says that it does not", () => {
  const metadata = gemma4();
  metadata.set("tokenizer.ggml.add_bos_token", false);
  assertEquals(createTokenizer(metadata).addBos, true);
});

Deno.test("encode() of gemma4 takes line breaks that are a token whole, and cuts lines there", () => {
  assertEquals(TINY.encode("a\n\nb"), [A, TWO_BREAKS, B]);
  assertEquals(TINY.encode("a\n\n\nb"), [A, BREAK, BREAK, BREAK, B]);
  assertEquals(TINY.encode("\n"), [BREAK]);
});

Deno.test("encode() of gemma4 spells in bytes what is no token, also what only merges make", () => {
  assertEquals(TINY.encode("é"), [byte(0xc3), byte(0xa9)]);
  assertEquals(TINY.encode("bb"), [byte(0x62), byte(0x62)]);
});

Deno.test("a gemma4 ends with what ends turns and calls; </s> is text", () => {
  const extra = [
    { text: "<turn|>", type: TokenType.control },
    { text: "<|tool_response>", type: TokenType.userDefined },
    { text: "</s>", type: TokenType.normal },
    { text: "<eos>", type: TokenType.control },
  ];
  const metadata = gemma4(extra);
  metadata.set("tokenizer.ggml.eos_token_id", 271);
  const tokenizer = createTokenizer(metadata);
  assertEquals([...tokenizer.endIds].toSorted(), [268, 269, 271]);
  assertEquals(tokenizer.decode([270]), "</s>");
  assertEquals(tokenizer.warnings, []);
});
