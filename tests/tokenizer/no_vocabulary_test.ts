import { assertEquals, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { createTokenizer } from "../../src/tokenizer/mod.ts";

for (const metadata of [new Map(), new Map([["tokenizer.ggml.model", "none"]])]) {
  Deno.test(`createTokenizer() makes do without a vocabulary (${metadata.size} keys)`, () => {
    const tokenizer = createTokenizer(metadata);
    assertEquals([tokenizer.kind, tokenizer.vocabSize, tokenizer.addBos], ["none", 0, false]);
    assertThrows(() => tokenizer.encode("x"), RequestError, "no vocabulary");
    assertEquals(tokenizer.decode([1, 2]) + tokenizer.pieceOf(3), "");
    assertEquals(tokenizer.streamDecoder().push(7) + tokenizer.streamDecoder().flush(), "");
  });
}
