import { assertEquals } from "@std/assert";
import { vocabularyBytes } from "../../src/llm/request_extras.ts";
import type { Tokenizer } from "../../src/tokenizer/types.ts";

Deno.test("vocabularyBytes() tells markers from texts by a byte that no text has", () => {
  const tokens: readonly (readonly [bytes: number[], piece: string])[] = [
    ...[[[0x61], "a"], [[], "<|end|>"], [[0xff], "<0xFF>"], [[0x61, 0xff], "aÿ"]] as const,
    ...[[[], ""], [[0xc3], "<0xC3>"]] as const,
  ].map(([bytes, piece]) => [[...bytes], piece]);
  const tokenizer = {
    vocabSize: tokens.length,
    bytesOf: (id: number) => Uint8Array.from(tokens[id][0]),
    pieceOf: (id: number) => tokens[id][1],
    endIds: new Set([3]),
  } as unknown as Tokenizer;
  const { vocabSize, bytes, offsets, endIds } = vocabularyBytes(tokenizer, 8);
  const all = tokens.map((_, id) => [...bytes.subarray(offsets[id], offsets[id + 1])]);
  const marker = [0xff, ...new TextEncoder().encode("<|end|>")];
  assertEquals(all, [[0x61], marker, [], [], [], [0xc3]]);
  assertEquals([vocabSize, endIds], [8, [3]]);
});
