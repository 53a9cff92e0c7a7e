/** Builds a tokenizer from what a GGUF file says. Knows which parts each kind needs. */
import { getString, type StringArray } from "../gguf/mod.ts";
import { fromByteAlphabet } from "./byte_alphabet.ts";
import { ByteTrie } from "./byte_trie.ts";
import { createIdOnlyTokenizer, NO_VOCABULARY_KINDS } from "./no_vocabulary.ts";
import { findPreTokenizer, wordsOf } from "./split_words.ts";
import { pairsFromMerges, pairsFromScores } from "./merge_pairs.ts";
import { readSpaced, SPACE_MARK, SpacedText } from "./spaced_text.ts";
import type { Tokenizer } from "./types.ts";
import { buildVocab, type Vocab } from "./vocab.ts";
import { type Metadata, readVocabMetadata, type VocabMetadata } from "./vocab_metadata.ts";
import { type PlainTextEncoder, VocabTokenizer } from "./vocab_tokenizer.ts";
import { WordEncoder } from "./word_encoder.ts";

/** A tokenizer and what had to be put right in its vocabulary. */
export interface LoadedTokenizer extends Tokenizer {
  /** For the log: one sentence per oddity of the file. */
  readonly warnings: readonly string[];
}

/**
 * Builds a tokenizer from a GGUF file's metadata, of which it needs the `tokenizer.ggml.*` keys.
 * @throws {UnsupportedModelError} when the tokenizer's kind or its pre-tokenizer is unknown.
 * @throws {ModelFormatError} when a key is missing or of the wrong type, or an array too short or
 *   too long.
 */
export function createTokenizer(metadata: Metadata): LoadedTokenizer {
  if (NO_VOCABULARY_KINDS.includes(getString(metadata, "tokenizer.ggml.model", "none"))) {
    return createIdOnlyTokenizer();
  }
  const source = readVocabMetadata(metadata);
  if (source.kind === "rwkv") return longestFirst(source);
  if (source.kind === "gpt2") return byteLevelBpe(source);
  return source.merges === null ? sentencePiece(source) : spacedBpe(source, source.merges);
}

function sentencePiece(source: VocabMetadata): LoadedTokenizer {
  const vocab = buildVocab(source);
  if (source.scores === null) {
    source.warnings.push("the tokens have no scores: leftmost pairs merge");
  }
  const words = new WordEncoder({
    symbols: vocab.symbols,
    pairs: pairsFromScores(source.scores, vocab.symbols, vocab.size),
    vocabSize: vocab.size,
    units: "characters",
    byteIds: vocab.byteIds,
    unknownId: vocab.unknownId,
    takesWholeWords: "none",
  });
  const text = new SpacedText(source, vocab);
  const encodePlain: PlainTextEncoder = (plain, { afterSpecial, out }) => {
    for (const word of text.wordsOf(plain, afterSpecial)) words.encode(word, out);
  };
  return assemble(source, vocab, { encodePlain, addsBosByDefault: true });
}

/** Lines, and line breaks between them: no token has both, and lines have no words. */
const LINES = /[^\n]+|\n+/g;

/** Merges of a list, of tokens that are spelt as SentencePiece spells them: Gemma 4. */
function spacedBpe(source: VocabMetadata, merges: StringArray): LoadedTokenizer {
  const vocab = buildVocab(source);
  const words = new WordEncoder({
    symbols: vocab.symbols,
    pairs: pairsFromMerges(merges, vocab.symbols, readSpaced),
    vocabSize: vocab.size,
    units: "characters",
    byteIds: vocab.byteIds,
    unknownId: vocab.unknownId,
    takesWholeWords: "lineBreaks",
  });
  const encodePlain: PlainTextEncoder = (plain, { out }) => {
    for (const [line] of plain.replaceAll(SPACE_MARK, " ").matchAll(LINES)) words.encode(line, out);
  };
  return assemble(source, vocab, { encodePlain, addsBosByDefault: true });
}

function byteLevelBpe(source: VocabMetadata): LoadedTokenizer {
  if (source.pre === "") {
    source.warnings.push('there is no "tokenizer.ggml.pre": "default" is used');
  }
  const pre = findPreTokenizer(source.pre === "" ? "default" : source.pre);
  const vocab = buildVocab(source);
  const pairs = pairsFromMerges(source.merges!, vocab.symbols, fromByteAlphabet);
  const words = new WordEncoder({
    symbols: vocab.symbols,
    pairs,
    vocabSize: vocab.size,
    units: "bytes",
    byteIds: singleByteIds(vocab),
    unknownId: null,
    takesWholeWords: pre.ignoresMerges ? "all" : "none",
  });
  const encodePlain: PlainTextEncoder = (plain, { out }) => {
    for (const word of wordsOf(pre, plain)) words.encode(word, out);
  };
  return assemble(source, vocab, { encodePlain, addsBosByDefault: pre.addsBos });
}

/** RWKV: of all tokens that the rest of the text begins with the longest, again and again. */
function longestFirst(source: VocabMetadata): LoadedTokenizer {
  const vocab = buildVocab(source);
  const trie = new ByteTrie();
  for (let id = 0; id < vocab.size; id++) trie.insert(vocab.symbols.bytesOf(id), id);
  const missing = singleByteIds(vocab).filter((id) => id < 0).length;
  if (missing > 0) source.warnings.push(`${missing} bytes are no token: texts lose them`);
  const utf8 = new TextEncoder();
  const encodePlain: PlainTextEncoder = (plain, { out }) => {
    const bytes = utf8.encode(plain);
    for (let at = 0; at < bytes.length;) {
      const found = trie.longest(bytes, at);
      const id = found?.id ?? vocab.unknownId;
      if (id !== null) out.push(id);
      at = found?.end ?? at + 1;
    }
  };
  return assemble(source, vocab, { encodePlain, addsBosByDefault: false });
}

/** Of each byte the token that is this byte and no more, or -1. */
function singleByteIds({ symbols, size }: Vocab): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    const symbol = symbols.find(Uint8Array.of(byte), 0, 1);
    return symbol < size ? symbol : -1;
  });
}

function assemble(
  source: VocabMetadata,
  vocab: Vocab,
  how: { encodePlain: PlainTextEncoder; addsBosByDefault: boolean },
): LoadedTokenizer {
  const addsBos = source.addsBos ?? how.addsBosByDefault;
  if (addsBos && vocab.bosId === null) {
    source.warnings.push("there is no BOS to begin prompts with");
  }
  return new VocabTokenizer(vocab, {
    kind: source.kind,
    encodePlain: how.encodePlain,
    addBos: addsBos && vocab.bosId !== null,
    addEos: (source.addsEos ?? false) && vocab.eosId !== null,
    addsSpacePrefix: source.kind === "llama" && source.merges === null && source.addsSpacePrefix,
    specialsSwallowSpace: source.isPhi3,
    warnings: source.warnings,
  });
}
