/**
 * What a GGUF file says of its vocabulary, checked: every array has one entry per token, every id
 * is one of a token. Knows names and shapes; what tokens mean is `vocab.ts`'s.
 */
import { ModelFormatError, UnsupportedModelError } from "../base/errors.ts";
import {
  getBoolean,
  getNumber,
  getNumbers,
  getString,
  getStrings,
  type GgufValue,
  type NumberArray,
  type StringArray,
} from "../gguf/mod.ts";
import type { BertNormalizer } from "./bert_words.ts";

export type Metadata = ReadonlyMap<string, GgufValue>;

/** Ranks of merges and ids must leave room for positions in one exact number (`merger.ts`). */
const ENTRIES_MAX = 2 ** 24;

/** Said of byte-level BPE, they mean that tokens are spelt as SentencePiece's are. */
const SPACED_PRES = ["gemma4", "granite-embed-multi-311m", "sarvam-moe"];
const NORMALIZER = "tokenizer.ggml.normalizer";
const CHARS_MAP = "tokenizer.ggml.precompiled_charsmap";
const SWALLOWING_PRE = /jina-v2-(?:de|es|code)/;
const SWALLOWING_ARCHITECTURE = /nomic-bert-moe|jina-bert-v3/;

/** `tokenizer.ggml.model`, and what is spelt like it. */
export type VocabKind = "llama" | "gpt2" | "rwkv" | "bert" | "t5" | "plamo2";

/** Those whose files list no merges. */
const SCORED_KINDS: ReadonlySet<string> = new Set(
  ["rwkv", "bert", "t5", "llama", "plamo2"] satisfies VocabKind[],
);

/** The vocabulary as the file has it. */
export interface VocabMetadata {
  /**
   * How tokens are spelt: with "▁" for spaces ("llama", "t5"), in letters for bytes, with escapes,
   * with "▁" before those that begin a word ("bert"), or as they are ("plamo2").
   */
  readonly kind: VocabKind;
  readonly tokens: StringArray;
  /** One of `TokenType` per token; null when the file has none. */
  readonly types: NumberArray | null;
  /** SentencePiece's scores, one per token; null when the file has none. */
  readonly scores: NumberArray | null;
  /** Pairs that merge, the first the most urgent; null where scores say what does. */
  readonly merges: StringArray | null;
  /** Of those with merges: whether a run of line breaks that is a token is taken whole. */
  readonly takesLineBreaks: boolean;
  /** Whether words are what stands between white space, of which no token has any. */
  readonly dropsWhiteSpace: boolean;
  /** `tokenizer.ggml.pre`, empty when the file has none. */
  readonly pre: string;
  readonly ids: {
    readonly bos: number | null;
    readonly eos: number | null;
    readonly unknown: number | null;
    /** Between two texts, and behind BERT's last. */
    readonly separator: number | null;
    readonly eot: number | null;
    readonly eom: number | null;
  };
  readonly addsBos: boolean | null;
  readonly addsEos: boolean | null;
  /** Whether a separator stands between two texts. */
  readonly addsSeparator: boolean | null;
  readonly addsSpacePrefix: boolean;
  readonly removesExtraSpaces: boolean;
  /** What BERT's vocabularies have no forms of. */
  readonly normalizer: BertNormalizer;
  /** What characters become before a unigram vocabulary sees them; null: they stay. */
  readonly charsMap: NumberArray | null;
  /** Of Phi 3, whose special tokens swallow the white space behind them. */
  readonly isPhi3: boolean;
  /** The token that swallows the white space before it; null: none does. */
  readonly swallowsBefore: string | null;
  /** A pair of texts as the model was taught them, with {query} and {document}; null: by marks. */
  readonly pairTemplate: string | null;
  /** What was wrong and could be got over. */
  readonly warnings: string[];
}

/**
 * Reads the `tokenizer.ggml.*` keys.
 * @throws {UnsupportedModelError} when the tokenizer is of another kind.
 * @throws {ModelFormatError} when a key is missing or of the wrong type, or an array too short or
 *   too long.
 */
export function readVocabMetadata(metadata: Metadata): VocabMetadata {
  const { kind, listsMerges, takesLineBreaks, dropsWhiteSpace } = readKind(metadata);
  const tokens = getStrings(metadata, "tokenizer.ggml.tokens");
  if (tokens.length === 0) throw formatError("tokenizer.ggml.tokens", "it has no tokens");
  const merges = listsMerges ? getStrings(metadata, "tokenizer.ggml.merges") : null;
  for (const list of [tokens, merges]) {
    if (list !== null && list.length >= ENTRIES_MAX) {
      throw formatError("tokenizer.ggml", `${list.length} entries are more than ${ENTRIES_MAX}`);
    }
  }
  const warnings: string[] = [];
  const id = (name: string) => readId(metadata, name, { tokenCount: tokens.length, warnings });
  const lowercases = getBoolean(metadata, `${NORMALIZER}.lowercase`, !dropsWhiteSpace);
  return {
    kind,
    tokens,
    types: perToken(metadata, "tokenizer.ggml.token_type", tokens.length),
    scores: !listsMerges ? perToken(metadata, "tokenizer.ggml.scores", tokens.length) : null,
    merges,
    takesLineBreaks,
    dropsWhiteSpace,
    pre: getString(metadata, "tokenizer.ggml.pre", ""),
    ids: {
      // Early files of BERT name what begins a text by its name there.
      bos: id("bos") ?? (kind === "bert" ? id("cls") : null),
      eos: id("eos"),
      unknown: id("unknown"),
      separator: id("seperator"),
      eot: id("eot"),
      eom: id("eom"),
    },
    // Early files of Gemma 4 say that there is none, and it writes nonsense without.
    addsBos: takesLineBreaks || optionalBoolean(metadata, "tokenizer.ggml.add_bos_token"),
    addsEos: optionalBoolean(metadata, "tokenizer.ggml.add_eos_token"),
    addsSeparator: optionalBoolean(metadata, "tokenizer.ggml.add_sep_token"),
    addsSpacePrefix: getBoolean(
      metadata,
      "tokenizer.ggml.add_space_prefix",
      kind === "llama" && !listsMerges,
    ),
    removesExtraSpaces: getBoolean(metadata, "tokenizer.ggml.remove_extra_whitespaces", false),
    normalizer: {
      lowercases,
      stripsAccents: getBoolean(metadata, `${NORMALIZER}.strip_accents`, lowercases),
    },
    charsMap: metadata.has(CHARS_MAP) ? getNumbers(metadata, CHARS_MAP) : null,
    isPhi3: /phi-?3/i.test(getString(metadata, "general.name", "")),
    swallowsBefore: swallowingMask(metadata),
    pairTemplate: getString(metadata, "tokenizer.chat_template.rerank", "") || null,
    warnings,
  };
}

/** The mask of some encoders takes the white space before it with it; files do not say so. */
function swallowingMask(metadata: Metadata): string | null {
  const pre = getString(metadata, "tokenizer.ggml.pre", "");
  const architecture = getString(metadata, "general.architecture", "");
  if (SWALLOWING_PRE.test(pre) || SWALLOWING_ARCHITECTURE.test(architecture)) return "<mask>";
  return /modern-bert/i.test(getString(metadata, "general.name", "")) ? "[MASK]" : null;
}

/**
 * Gemma 4, Sarvam, an encoder of Granite and Jina's Chinese one spell tokens as SentencePiece does
 * and list merges as byte-level BPE does.
 */
function readKind(
  metadata: Metadata,
): Pick<VocabMetadata, "kind" | "takesLineBreaks" | "dropsWhiteSpace"> & {
  readonly listsMerges: boolean;
} {
  const kind = getString(metadata, "tokenizer.ggml.model");
  const pre = kind === "gpt2" ? getString(metadata, "tokenizer.ggml.pre", "") : kind;
  const plain = { takesLineBreaks: false, dropsWhiteSpace: false };
  if (pre === "whitespace") {
    return { ...plain, kind: "llama", listsMerges: true, dropsWhiteSpace: true };
  }
  if (SPACED_PRES.includes(pre)) {
    const takesLineBreaks = pre !== "sarvam-moe";
    return { ...plain, kind: "llama", listsMerges: true, takesLineBreaks };
  }
  if (kind === "gpt2") return { ...plain, kind, listsMerges: true };
  if (SCORED_KINDS.has(kind)) return { ...plain, kind: kind as VocabKind, listsMerges: false };
  throw new UnsupportedModelError(
    `Cannot use a tokenizer of the kind "${kind.slice(0, 80)}": only "llama" (SentencePiece), ` +
      `"gpt2" (byte-level BPE), "bert" (WordPiece), "t5" (unigram), "gemma4", ` +
      `"whitespace", "plamo2" and "rwkv" are supported: choose a model with one of these`,
  );
}

function perToken(metadata: Metadata, key: string, tokenCount: number): NumberArray | null {
  if (!metadata.has(key)) return null;
  const values = getNumbers(metadata, key);
  if (values.length === tokenCount) return values;
  throw formatError(key, `it has ${values.length} entries for ${tokenCount} tokens`);
}

function optionalBoolean(metadata: Metadata, key: string): boolean | null {
  return metadata.has(key) ? getBoolean(metadata, key) : null;
}

/** The id at `tokenizer.ggml.<name>_token_id`; null, with a warning, when no token has it. */
function readId(
  metadata: Metadata,
  name: string,
  context: { tokenCount: number; warnings: string[] },
): number | null {
  const key = `tokenizer.ggml.${name}_token_id`;
  if (!metadata.has(key)) return null;
  const id = getNumber(metadata, key);
  if (Number.isInteger(id) && id >= 0 && id < context.tokenCount) return id;
  context.warnings.push(`"${key}" is ${id}, and the vocabulary has ${context.tokenCount} tokens`);
  return null;
}

function formatError(key: string, problem: string): ModelFormatError {
  const message = `Cannot use metadata "${key}": ${problem}: convert the model anew`;
  return new ModelFormatError(message, { offsetBytes: 0 });
}
