/** Builds a tokenizer from what a GGUF file says. Knows which parts each kind needs. */
import { isStepEnd, runSteps, type Steps } from "../base/steps.ts";
import { BertWords } from "./bert_words.ts";
import { type CheapestRules, costsOfScores, spellCheapest } from "./cheapest_spelling.ts";
import { CharsMap } from "./chars_map.ts";
import { TokenType } from "./token_types.ts";
import { Unigram, UNKNOWN } from "./unigram.ts";
import { UnigramText } from "./unigram_text.ts";
import { WordCache } from "./word_cache.ts";
import { WordPieces } from "./word_pieces.ts";
import { getString, type StringArray } from "../gguf/mod.ts";
import { fromByteAlphabet } from "./byte_alphabet.ts";
import { ByteTrie } from "./byte_trie.ts";
import { createIdOnlyTokenizer, NO_VOCABULARY_KINDS } from "./no_vocabulary.ts";
import { findPreTokenizer, wordBlocks } from "./split_words.ts";
import { pairsFromMerges, pairsFromScores } from "./merge_pairs.ts";
import { markedWords, readSpaced, SPACE_MARK, SpacedText } from "./spaced_text.ts";
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
  return runSteps(createTokenizerSteps(metadata));
}

/** The same in steps: a vocabulary of 100,000 tokens takes some 0.3 s. */
export function* createTokenizerSteps(metadata: Metadata): Steps<LoadedTokenizer> {
  if (NO_VOCABULARY_KINDS.includes(getString(metadata, "tokenizer.ggml.model", "none"))) {
    return createIdOnlyTokenizer();
  }
  const source = readVocabMetadata(metadata);
  if (source.kind === "rwkv") return yield* longestFirst(source);
  if (source.kind === "bert") return yield* wordPiece(source);
  if (source.kind === "t5") return yield* unigram(source);
  if (source.kind === "plamo2") return yield* cheapest(source);
  if (source.kind === "gpt2") return yield* byteLevelBpe(source);
  return yield* source.merges === null ? sentencePiece(source) : spacedBpe(source, source.merges);
}

function* sentencePiece(source: VocabMetadata): Steps<LoadedTokenizer> {
  const vocab = yield* buildVocab(source);
  if (source.scores === null) {
    source.warnings.push("the tokens have no scores: leftmost pairs merge");
  }
  const words = new WordEncoder({
    symbols: vocab.symbols,
    pairs: yield* pairsFromScores(source.scores, vocab.symbols, vocab.size),
    vocabSize: vocab.size,
    units: "characters",
    byteIds: vocab.byteIds,
    unknownId: vocab.unknownId,
    takesWholeWords: "none",
  });
  const text = new SpacedText(source, vocab);
  const encodePlain: PlainTextEncoder = (plain, { afterSpecial, out }) =>
    encodeWords(text.wordsOf(plain, afterSpecial), words, out);
  return assemble(source, vocab, { encodePlain, addsBosByDefault: true });
}

/** Lines, and line breaks between them: no token has both, and lines have no words. */
const LINES = /[^\n]+|\n+/g;

/** Merges of a list, of tokens that are spelt as SentencePiece spells them: Gemma 4 and others. */
function* spacedBpe(source: VocabMetadata, merges: StringArray): Steps<LoadedTokenizer> {
  const vocab = yield* buildVocab(source);
  const words = new WordEncoder({
    symbols: vocab.symbols,
    pairs: yield* pairsFromMerges(merges, vocab.symbols, readSpaced),
    vocabSize: vocab.size,
    units: "characters",
    byteIds: vocab.byteIds,
    unknownId: source.dropsWhiteSpace ? null : vocab.unknownId,
    takesWholeWords: source.takesLineBreaks ? "lineBreaks" : "none",
  });
  if (source.dropsWhiteSpace) {
    const encodePlain: PlainTextEncoder = (plain, { out }) => {
      const spelt = plain.matchAll(BLACK_TEXT).map(([word]) => {
        const text = source.normalizer.lowercases ? lowered(word) : word;
        return text.replaceAll(SPACE_MARK, " ");
      });
      return encodeWords(spelt, words, out);
    };
    return assemble(source, vocab, { encodePlain, addsBosByDefault: false });
  }
  const encodePlain: PlainTextEncoder = (plain, { out }) => {
    const lines = plain.replaceAll(SPACE_MARK, " ").matchAll(LINES);
    return encodeWords(lines.map(([line]) => line), words, out);
  };
  return assemble(source, vocab, { encodePlain, addsBosByDefault: source.takesLineBreaks });
}

/** What stands between white space. */
const BLACK_TEXT = /\P{White_Space}+/gu;

/** Character by character: no letter becomes two, nor another at a word's end. */
function lowered(text: string): string {
  return text.replace(/\P{ASCII}|[A-Z]/gu, (character) => {
    return String.fromCodePoint(character.toLowerCase().codePointAt(0)!);
  });
}

function* byteLevelBpe(source: VocabMetadata): Steps<LoadedTokenizer> {
  if (source.pre === "") {
    source.warnings.push('there is no "tokenizer.ggml.pre": "default" is used');
  }
  const pre = findPreTokenizer(source.pre === "" ? "default" : source.pre);
  const vocab = yield* buildVocab(source);
  const pairs = yield* pairsFromMerges(source.merges!, vocab.symbols, fromByteAlphabet);
  const words = new WordEncoder({
    symbols: vocab.symbols,
    pairs,
    vocabSize: vocab.size,
    units: "bytes",
    byteIds: singleByteIds(vocab),
    unknownId: null,
    takesWholeWords: pre.ignoresMerges ? "all" : "none",
  });
  const encodePlain: PlainTextEncoder = function* (plain, { out }) {
    for (const block of wordBlocks(pre, plain)) {
      yield* encodeWords(block, words, out);
      yield;
    }
  };
  return assemble(source, vocab, {
    encodePlain,
    addsBosByDefault: pre.addsBos,
    addsSeparatorByDefault: pre.addsSeparator,
  });
}

/** RWKV: of all tokens that the rest of the text begins with the longest, again and again. */
function* longestFirst(source: VocabMetadata): Steps<LoadedTokenizer> {
  const vocab = yield* buildVocab(source);
  const trie = new ByteTrie();
  for (let id = 0; id < vocab.size; id++) {
    if (isStepEnd(id)) yield;
    trie.insert(vocab.symbols.bytesOf(id), id);
  }
  const missing = singleByteIds(vocab).filter((id) => id < 0).length;
  if (missing > 0) source.warnings.push(`${missing} bytes are no token: texts lose them`);
  const utf8 = new TextEncoder();
  const encodePlain: PlainTextEncoder = function* (plain, { out }) {
    const bytes = utf8.encode(plain);
    let next = STEP_UNITS;
    for (let at = 0; at < bytes.length;) {
      if (at >= next) {
        yield;
        next = at + STEP_UNITS;
      }
      const found = trie.longest(bytes, at);
      const id = found?.id ?? vocab.unknownId;
      if (id !== null) out.push(id);
      at = found?.end ?? at + 1;
    }
  };
  return assemble(source, vocab, { encodePlain, addsBosByDefault: false });
}

/**
 * A longer token of WordPiece's or a unigram vocabulary is no text's: real ones have a tenth of
 * this, and each character of a text may cost as many steps as the longest token has bytes.
 */
const SPELT_BYTES_MAX = 256;

/** BERT: words, each by the longest tokens that it begins with. */
function* wordPiece(source: VocabMetadata): Steps<LoadedTokenizer> {
  const vocab = yield* buildVocab(source);
  const words = new BertWords(source.normalizer);
  const pieces = new WordPieces(yield* trieOf(vocab, isText), vocab.unknownId);
  const encodePlain: PlainTextEncoder = (plain, { out }) =>
    encodeWords(words.of(plain), pieces, out);
  return assemble(source, vocab, {
    encodePlain,
    addsBosByDefault: true,
    addsSeparatorByDefault: true,
  });
}

/** T5, XLM-R: of all ways to spell a text the one whose tokens' scores sum to the most. */
function* unigram(source: VocabMetadata): Steps<LoadedTokenizer> {
  const vocab = yield* buildVocab(source);
  if (source.scores === null) {
    source.warnings.push("the tokens have no scores: the fewest that fit are as good as any");
  }
  const map = source.charsMap === null ? null : new CharsMap(Uint8Array.from(source.charsMap));
  const text = new UnigramText(source, map);
  const tokens = yield* trieOf(vocab, (type) => isText(type) || type === TokenType.unused);
  const spelling = new Unigram({ tokens, ...unigramScores(source, vocab) });
  const cache = new WordCache();
  const cutsAtSpaces = !(yield* hasMarkWithin(vocab));
  const encodePlain: PlainTextEncoder = function* (plain, { out }) {
    const normalized = yield* text.normalize(plain);
    const begin = out.length;
    const append = (id: number) => {
      if (id !== UNKNOWN) out.push(id);
      // One for a run of characters that are no tokens, which may go on across words.
      else if (out.length === begin || out[out.length - 1] !== vocab.unknownId) {
        if (vocab.unknownId !== null) out.push(vocab.unknownId);
      }
    };
    const encoder: WordSpeller = {
      encode: (word) => {
        let ids = cache.get(word);
        if (ids === undefined) cache.set(word, ids = spelling.spell(word));
        for (const id of ids) append(id);
      },
      *encodeLong(word) {
        const ids = yield* spelling.spellLong(word);
        for (let i = 0; i < ids.length; i++) {
          if (i % STEP_UNITS === STEP_UNITS - 1) yield;
          append(ids[i]);
        }
      },
    };
    const words = cutsAtSpaces ? markedWords(normalized, SPACE_MARK) : [normalized];
    yield* encodeWords(words, encoder, out);
  };
  return assemble(source, vocab, {
    encodePlain,
    addsBosByDefault: false,
    addsEosByDefault: true,
  });
}

/** PLaMo 2 and 3: of all ways to spell a text the cheapest; other characters are spelt in bytes. */
function* cheapest(source: VocabMetadata): Steps<LoadedTokenizer> {
  const vocab = yield* buildVocab(source);
  const { byteIds, unknownId, size } = vocab;
  if (source.scores === null) {
    source.warnings.push("the tokens have no scores: the fewest that fit are as good as any");
  }
  const missing = byteIds.filter((id) => id < 0).length;
  if (missing > 0) source.warnings.push(`${missing} bytes are no token: texts lose them`);
  const rules: CheapestRules = {
    tokens: yield* trieOf(vocab, isText),
    costs: costsOfScores(source.scores ?? new Float64Array(size)),
    spellBytes: (bytes, out) => {
      if (unknownId !== null && bytes.some((byte) => byteIds[byte] < 0)) out.push(unknownId);
      else for (const byte of bytes) if (byteIds[byte] >= 0) out.push(byteIds[byte]);
    },
  };
  const encodePlain: PlainTextEncoder = (plain, { out }) => spellCheapest(plain, rules, out);
  return assemble(source, vocab, { encodePlain, addsBosByDefault: false });
}

/** UTF-16 units of words, or bytes, that are encoded in a few milliseconds. */
const STEP_UNITS = 1 << 14;
/** Words that have steps of their own. */
const LONG_UNITS = 1 << 12;

/** Appends a word's ids. */
interface WordSpeller {
  encode(word: string, out: number[]): void;
  /** In steps, between which others may be asked for other words. */
  encodeLong(word: string, out: number[]): Steps<void>;
}

/** Has every word encoded, with a step's end after so many units. */
function* encodeWords(
  words: Iterable<string>,
  speller: WordSpeller,
  out: number[],
): Steps<void> {
  let units = 0;
  for (const word of words) {
    if (word.length < LONG_UNITS) speller.encode(word, out);
    else yield* speller.encodeLong(word, out);
    units += word.length;
    if (units < STEP_UNITS) continue;
    units = 0;
    yield;
  }
}

/** Scores by id, and what a character costs that is no token: 10 more than the least likely. */
function unigramScores({ scores }: VocabMetadata, { types, size }: Vocab) {
  const known = new Float64Array(size);
  let least = Infinity;
  for (let id = 0; id < size; id++) {
    const score = scores === null ? 0 : scores[id];
    if (types[id] !== TokenType.userDefined) known[id] = score;
    if (types[id] === TokenType.normal && score < least) least = score;
  }
  return { scores: known, unknownScore: Math.fround((least === Infinity ? 0 : least) - 10) };
}

/** Whether some token has "▁" behind another character: if none has, words are spelt alone. */
function* hasMarkWithin({ tokens, types, size }: Vocab): Steps<boolean> {
  for (let id = 0; id < size; id++) {
    if (isStepEnd(id)) yield;
    if ((isText(types[id]) || types[id] === TokenType.unused) && /[^▁]▁/.test(tokens.at(id))) {
      return true;
    }
  }
  return false;
}

function isText(type: number): boolean {
  return type === TokenType.normal || type === TokenType.userDefined;
}

/** Tokens of some types by how they are spelt; of equal ones the first. */
function* trieOf(
  { tokens, types, size }: Vocab,
  takes: (type: number) => boolean,
): Steps<ByteTrie> {
  const trie = new ByteTrie();
  // The later one of equals counts, and what was inserted last is found soonest: the frequent.
  for (let id = size - 1; id >= 0; id--) {
    if (isStepEnd(id)) yield;
    const text = tokens.bytesAt(id);
    if (takes(types[id]) && text.length <= SPELT_BYTES_MAX) trie.insert(text, id);
  }
  return trie;
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
  how: {
    encodePlain: PlainTextEncoder;
    addsBosByDefault: boolean;
    addsEosByDefault?: boolean;
    addsSeparatorByDefault?: boolean;
  },
): LoadedTokenizer {
  const addsBos = source.addsBos ?? how.addsBosByDefault;
  if (addsBos && vocab.bosId === null) {
    source.warnings.push("there is no BOS to begin prompts with");
  }
  return new VocabTokenizer(vocab, {
    kind: source.kind,
    encodePlain: how.encodePlain,
    addBos: addsBos && vocab.bosId !== null,
    addEos: (source.addsEos ?? how.addsEosByDefault ?? false) &&
      (vocab.eosId ?? vocab.separatorId) !== null,
    addSeparator: (source.addsSeparator ?? how.addsSeparatorByDefault ?? false) &&
      vocab.separatorId !== null,
    pairTemplate: source.pairTemplate,
    addsSpacePrefix: putsSpaceBefore(source),
    specialsSwallowSpace: source.isPhi3,
    swallowsBefore: source.swallowsBefore,
    warnings: source.warnings,
  });
}

/** Whether the first token of a text has a space that the text had not. */
function putsSpaceBefore(source: VocabMetadata): boolean {
  if (source.kind === "bert") return true;
  if (source.kind === "t5") return source.addsSpacePrefix || source.removesExtraSpaces;
  return source.kind === "llama" && source.merges === null && source.addsSpacePrefix;
}
