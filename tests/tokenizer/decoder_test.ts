import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { createTokenizer, type Tokenizer } from "../../src/tokenizer/mod.ts";
import { anyText, fuzzRuns } from "../support/fuzz.ts";
import { bpeMetadata, spmMetadata } from "./tiny_vocab.ts";

const SPM = createTokenizer(spmMetadata([{ text: "▁a", score: 0 }, { text: "▁", score: 0 }]));
const SPACE_A = 259;
/** The id of a byte token of SPM. */
const byte = (value: number) => 3 + value;
const BPE = createTokenizer(bpeMetadata([]));

Deno.test("streamDecoder() gives in sum what TextDecoder gives for all bytes", () => {
  const bytes = fc.array(
    fc.constantFrom(0x41, 0x80, 0xc3, 0xa9, 0xe2, 0x82, 0xf0, 0x9f, 0xff, 0xef),
  );
  fc.assert(
    fc.property(bytes, (bytes) => {
      const whole = new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
      const ids = bytes.map(byte);
      assertEquals(streamed(SPM, ids).join(""), whole);
      assertEquals(SPM.decode(ids), whole);
    }),
    fuzzRuns(100),
  );
});

Deno.test("streamDecoder() never splits a code point, in either kind of vocabulary", () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      for (const tokenizer of [SPM, BPE]) {
        const parts = streamed(tokenizer, tokenizer.encode(text), { atStart: true });
        assertEquals(parts.join(""), text.replaceAll("▁", tokenizer === SPM ? " " : "▁"));
        for (const part of parts) assertEquals(part.isWellFormed() && part !== "\ufffd", true);
      }
    }),
    { ...fuzzRuns(100), examples: [["é😀\ufeff▁"]] },
  );
});

Deno.test("streamDecoder() keeps a continuation's spaces, and drops the first at a start", () => {
  assertEquals(streamed(SPM, [SPACE_A, SPACE_A]).join(""), " a a");
  assertEquals(streamed(SPM, [1, SPACE_A, SPACE_A], { atStart: true }).join(""), "a a");
  assertEquals(streamed(BPE, BPE.encode(" a"), { atStart: true }).join(""), " a");
});

Deno.test("streamDecoder() gives what never became a code point when it is flushed", () => {
  const decoder = SPM.streamDecoder();
  assertEquals(decoder.push(byte(0xf0)), "");
  assertEquals(decoder.push(2), "");
  assertEquals(decoder.push(byte(0x9f)), "");
  assertEquals(decoder.flush(), "\ufffd");
  assertEquals(decoder.push(byte(0x41)), "A");
});

Deno.test("bytesOf() and pieceOf() tell a token's bytes and its spelling", () => {
  assertEquals([...SPM.bytesOf(SPACE_A)], [0x20, 0x61]);
  assertEquals(SPM.pieceOf(SPACE_A), "▁a");
  assertEquals([...SPM.bytesOf(byte(0xff))], [0xff]);
  assertEquals(SPM.pieceOf(byte(0xff)), "<0xFF>");
  assertEquals([SPM.bytesOf(1).length, SPM.pieceOf(1)], [0, "<s>"]);
});

Deno.test("ids that are no token's decode to nothing", () => {
  for (const id of [-1, 261, 1e9, 0.5, NaN]) {
    assertEquals([SPM.bytesOf(id).length, SPM.pieceOf(id)], [0, ""]);
    assertEquals(SPM.decode([id, SPACE_A], { special: true }), "a");
    assertEquals(SPM.streamDecoder().push(id), "");
  }
});

/** What each id gives, and at last what the flush gives. */
function streamed(tokenizer: Tokenizer, ids: number[], options?: { atStart?: boolean }): string[] {
  const decoder = tokenizer.streamDecoder(options);
  return [...ids.map((id) => decoder.push(id)), decoder.flush()];
}
