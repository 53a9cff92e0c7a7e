/** Small vocabularies and grammars for tests, and the slow way to every answer. */
import { compileGrammar, MARKER_BYTE } from "../../src/grammar/mod.ts";
import { buildTokenTrie, GrammarKnowledge, GrammarMatcher } from "../../src/grammar/mod.ts";
import type { TokenTrie, VocabularyBytes } from "../../src/grammar/mod.ts";
import type { GrammarSource } from "../../src/llm/types.ts";

const UTF8 = new TextEncoder();

/** A vocabulary of texts or bytes; hidden: markers; ends: ids that end an answer. */
export function vocabularyOf(
  tokens: readonly (string | Uint8Array)[],
  of: { hidden?: readonly number[]; ends?: readonly number[]; vocabSize?: number } = {},
): VocabularyBytes {
  const parts = tokens.map((each, id) => {
    const text = typeof each === "string" ? UTF8.encode(each) : each;
    return of.hidden?.includes(id) ? Uint8Array.of(MARKER_BYTE, ...text) : text;
  });
  const offsets = new Uint32Array(parts.length + 1);
  parts.forEach((each, id) => offsets[id + 1] = offsets[id] + each.length);
  const bytes = new Uint8Array(offsets[parts.length]);
  parts.forEach((each, id) => bytes.set(each, offsets[id]));
  return {
    vocabSize: of.vocabSize ?? parts.length,
    bytes,
    offsets,
    endIds: of.ends ?? [],
  };
}

/** Each byte is a token, with its number as id; 256 ends. */
export const BYTE_TRIE: TokenTrie = buildTokenTrie(
  vocabularyOf(
    [...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)), "</s>"],
    { ends: [256] },
  ),
);

export function matcherOf(
  source: GrammarSource,
  trie = BYTE_TRIE,
  tokensMax = Infinity,
): GrammarMatcher {
  return new GrammarMatcher(new GrammarKnowledge(compileGrammar(source), trie), { tokensMax });
}

export function gbnf(text: string): GrammarSource {
  return { kind: "gbnf", text };
}

export function schema(schema: unknown): GrammarSource {
  return { kind: "jsonSchema", schema };
}

/** How a text fares: a sentence, the beginning of one, or neither. */
export function judge(source: GrammarSource, text: string | Uint8Array): "yes" | "begun" | "no" {
  return judgeBy(matcherOf(source), text);
}

export function judgeBy(matcher: GrammarMatcher, text: string | Uint8Array) {
  for (const byte of typeof text === "string" ? UTF8.encode(text) : text) {
    if (!matcher.allows(byte)) return "no";
    matcher.accept(byte);
  }
  return matcher.isComplete ? "yes" : "begun";
}

/** Ids whose bit is set. */
export function idsIn(mask: Uint32Array): number[] {
  const ids: number[] = [];
  for (let id = 0; id < 32 * mask.length; id++) {
    if ((mask[id >>> 5] >>> (id & 31) & 1) === 1) ids.push(id);
  }
  return ids;
}
