/**
 * A vocabulary in memory: of every token its type, its bytes as they appear in text, and whether
 * plain text may become it. Knows nothing of how text is cut or merged.
 */
import { isStepEnd, type Steps } from "../base/steps.ts";
import { fromByteAlphabet } from "./byte_alphabet.ts";
import { hexDigit, readEscaped } from "./escaped_bytes.ts";
import { endTokenIds, isEndText, startsLikeEndText } from "./end_tokens.ts";
import { readSpaced } from "./spaced_text.ts";
import { SymbolTable } from "./symbol_table.ts";
import { TokenType } from "./token_types.ts";
import { utf8Length } from "./utf8.ts";
import type { VocabMetadata } from "./vocab_metadata.ts";

/** A vocabulary, ready to be merged and matched. */
export interface Vocab {
  readonly size: number;
  /** Texts as the file spells them. */
  readonly tokens: VocabMetadata["tokens"];
  /** One of `TokenType` per token. */
  readonly types: Uint8Array;
  /**
   * By id, the bytes of each token as they appear in text: "▁Once" is " Once". Indexed are those
   * that plain text may become; a control token is not among them.
   */
  readonly symbols: SymbolTable;
  /** Ids of SentencePiece's byte tokens, -1 where there is none. */
  readonly byteIds: Int32Array;
  readonly bosId: number | null;
  readonly eosId: number | null;
  readonly unknownId: number | null;
  readonly separatorId: number | null;
  readonly endIds: ReadonlySet<number>;
}

/** Builds the vocabulary; what it had to put right goes to `source.warnings`. */
export function* buildVocab(source: VocabMetadata): Steps<Vocab> {
  const size = source.tokens.length;
  const ids = withUsualIds(source);
  const types = yield* effectiveTypes(source, ids);
  const symbols = new SymbolTable(source.kind === "gpt2" ? size + 512 : 2 * size);
  const byteIds = new Int32Array(256).fill(-1);
  const read = READERS[source.kind];
  let scratch = new Uint8Array(256);
  for (let id = 0; id < size; id++) {
    if (isStepEnd(id)) yield;
    const text = source.tokens.bytesAt(id);
    if (text.length > scratch.length) scratch = new Uint8Array(2 * text.length);
    const { length, mayMerge } = read(text, types[id], scratch);
    symbols.append(scratch, 0, length);
    if (mayMerge) symbols.index(id);
    if (types[id] === TokenType.byte && byteIds[scratch[0]] < 0) byteIds[scratch[0]] = id;
  }
  return {
    size,
    tokens: source.tokens,
    types,
    symbols,
    byteIds,
    bosId: ids.bos,
    eosId: ids.eos,
    unknownId: ids.unknown,
    separatorId: ids.separator,
    endIds: endTokenIds({ ids, types, textOf: (id) => source.tokens.at(id) }),
  };
}

/** What the first of a kind had for ids, and how it spelt them. */
const USUAL_IDS: Readonly<
  Record<VocabMetadata["kind"], Partial<Record<keyof VocabMetadata["ids"], [number, string]>>>
> = {
  llama: { bos: [1, "<s>"], eos: [2, "</s>"], unknown: [0, "<unk>"] },
  bert: { bos: [101, "[CLS]"], unknown: [100, "[UNK]"], separator: [102, "[SEP]"] },
  t5: { eos: [1, "</s>"], unknown: [2, "<unk>"] },
  plamo2: {
    bos: [1, "<|plamo:bos|>"],
    eos: [2, "<|plamo:eos|>"],
    unknown: [0, "<|plamo:unk|>"],
  },
  gpt2: {},
  rwkv: {},
};

/** The usual ids, for files that do not say, where the vocabulary agrees. */
function withUsualIds({ kind, ids, tokens }: VocabMetadata): VocabMetadata["ids"] {
  const all = { ...ids };
  for (const [name, [id, text]] of Object.entries(USUAL_IDS[kind])) {
    const isThere = id < tokens.length && tokens.at(id) === text;
    if (isThere) all[name as keyof typeof all] ??= id;
  }
  return all;
}

/**
 * The file's types, put right. Some files call the tokens that end a turn ordinary, and a user who
 * types their text would then end the turn: they are control tokens whatever the file says.
 */
function* effectiveTypes(
  source: VocabMetadata,
  ids: VocabMetadata["ids"],
): Steps<Uint8Array> {
  const { tokens, kind, warnings } = source;
  const types = new Uint8Array(tokens.length);
  // Gemma 4's "</s>" is HTML, and its files show what begins a tool's answer.
  const isGemma4 = kind === "llama" && source.merges !== null;
  for (let id = 0; id < tokens.length; id++) {
    if (isStepEnd(id)) yield;
    const stated = source.types === null ? TokenType.normal : source.types[id];
    types[id] = stated >= TokenType.normal && stated <= TokenType.byte ? stated : TokenType.normal;
    if (types[id] === TokenType.control) continue;
    const text = tokens.bytesAt(id);
    // RWKV's files name what ends; all else is text.
    const isEnd = kind !== "rwkv" && startsLikeEndText(text) && isEndText(tokens.at(id)) &&
      !(isGemma4 && tokens.at(id) === "</s>");
    if (isEnd) {
      const isNews = source.types !== null && !isGemma4;
      if (isNews) warnings.push(`"${tokens.at(id)}" was no control token`);
      types[id] = TokenType.control;
    } else {
      types[id] = byteTokenType(text, { type: types[id], kind });
    }
  }
  if (source.types === null) {
    for (const id of [ids.bos, ids.eos]) if (id !== null) types[id] = TokenType.control;
    if (ids.separator !== null) types[ids.separator] = TokenType.control;
    if (kind !== "gpt2" && kind !== "rwkv" && ids.unknown !== null) {
      types[ids.unknown] = TokenType.unknown;
    }
  }
  return types;
}

/** A byte token is one that says which byte; in SentencePiece's vocabularies it may be unmarked. */
function byteTokenType(
  text: Uint8Array,
  is: Pick<VocabMetadata, "kind"> & { type: number },
): number {
  const mayBeByte = is.type === TokenType.byte ||
    (is.type === TokenType.normal && is.kind === "llama");
  if (!mayBeByte) return is.type;
  return byteOf(text) >= 0 ? TokenType.byte : TokenType.normal;
}

/** How a token appears in text. */
interface Appearance {
  /** How many bytes were written. */
  readonly length: number;
  /** Whether plain text may become the token. */
  readonly mayMerge: boolean;
}

/** Writes to `out` what a token spelt `text` stands for. */
type ReadToken = (text: Uint8Array, type: number, out: Uint8Array) => Appearance;

const NOTHING: Appearance = { length: 0, mayMerge: false };

/** Writes to `out` what a SentencePiece token spelt `text` stands for. */
function readSentencePiece(text: Uint8Array, type: number, out: Uint8Array): Appearance {
  if (isSilent(type)) return NOTHING;
  if (type === TokenType.byte) {
    out[0] = byteOf(text);
    return { length: 1, mayMerge: false };
  }
  const length = readSpaced(text, out, 0);
  return { length, mayMerge: type !== TokenType.userDefined || mergesAnyway(text, length) };
}

/**
 * A user-defined token is found in the text before anything merges. Merging is for those that
 * cannot be found there, spaces being spelt "▁", and for single characters, which spell no secret.
 */
function mergesAnyway(text: Uint8Array, length: number): boolean {
  return length !== text.length || utf8Length(text[0]) === text.length;
}

/** Writes to `out` what a byte-level BPE token spelt `text` stands for. */
function readByteLevel(text: Uint8Array, type: number, out: Uint8Array): Appearance {
  if (isSilent(type)) return NOTHING;
  if (type === TokenType.byte) {
    out[0] = byteOf(text);
    return { length: 1, mayMerge: false };
  }
  if (type !== TokenType.userDefined) {
    const length = fromByteAlphabet(text, out, 0);
    if (length >= 0) return { length, mayMerge: true };
  }
  out.set(text);
  return { length: text.length, mayMerge: type === TokenType.userDefined && text.length === 1 };
}

/** Writes to `out` what a token of RWKV's vocabularies spelt `text` stands for. */
function readEscapedToken(text: Uint8Array, type: number, out: Uint8Array): Appearance {
  return isSilent(type) ? NOTHING : { length: readEscaped(text, out), mayMerge: true };
}

/** Writes to `out` what a token of WordPiece or a unigram vocabulary spelt `text` stands for. */
function readMarked(text: Uint8Array, type: number, out: Uint8Array): Appearance {
  if (isSilent(type)) return NOTHING;
  if (type === TokenType.byte) {
    out[0] = byteOf(text);
    return { length: 1, mayMerge: false };
  }
  // Text becomes these by tries of how they are spelt.
  return { length: readSpaced(text, out, 0), mayMerge: false };
}

/** Writes to `out` a token of PLaMo's vocabularies, which are spelt as they appear. */
function readPlain(text: Uint8Array, type: number, out: Uint8Array): Appearance {
  if (isSilent(type)) return NOTHING;
  if (type === TokenType.byte) {
    out[0] = byteOf(text);
    return { length: 1, mayMerge: false };
  }
  out.set(text);
  return { length: text.length, mayMerge: false };
}

const READERS: Readonly<Record<VocabMetadata["kind"], ReadToken>> = {
  llama: readSentencePiece,
  gpt2: readByteLevel,
  rwkv: readEscapedToken,
  bert: readMarked,
  t5: readMarked,
  plamo2: readPlain,
};

/** Whether tokens of this type never appear in text. */
function isSilent(type: number): boolean {
  return type === TokenType.control || type === TokenType.unknown || type === TokenType.unused;
}

/** The byte that "<0x0A>" names, or -1 when `text` names none. */
function byteOf(text: Uint8Array): number {
  if (text.length !== 6 || text[0] !== 0x3c || text[1] !== 0x30 || text[2] !== 0x78) return -1;
  const high = hexDigit(text[3]);
  const low = hexDigit(text[4]);
  return high < 0 || low < 0 || text[5] !== 0x3e ? -1 : 16 * high + low;
}
