/** WordPiece and unigram vocabularies beside llama.cpp, whose ids were taken once. */
import { assertEquals } from "@std/assert";
import { createTokenizer } from "../../src/tokenizer/mod.ts";
import theirs from "./encoder_peers.json" with { type: "json" };
import { digestOf, encoderPeers } from "./encoder_peers.ts";

for (const { name, metadata, texts, special } of encoderPeers()) {
  Deno.test(`encode() gives the ids of llama.cpp for ${texts.length} random texts: ${name}`, () => {
    const tokenizer = createTokenizer(metadata);
    const ids = texts.map((text) => tokenizer.encode(text, { special }));
    const { ids: first, digest } = theirs[name as keyof typeof theirs];
    first.forEach((expected, i) => assertEquals(ids[i], expected, JSON.stringify(texts[i])));
    assertEquals(digestOf(ids), digest);
  });
}
