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

export type Metadata = ReadonlyMap<string, GgufValue>;

/** Ranks of merges and ids must leave room for positions in one exact number (`merger.ts`). */
const ENTRIES_MAX = 2 ** 24;

/** The vocabulary as the file has it. */
export interface VocabMetadata {
  /** How tokens are spelt: with "▁" for spaces, in letters for bytes, or with escapes. */
  readonly kind: "llama" | "gpt2" | "rwkv";
  readonly tokens: StringArray;
  /** One of `TokenType` per token; null when the file has none. */
  readonly types: NumberArray | null;
  /** SentencePiece's scores, one per token; null when the file has none. */
  readonly scores: NumberArray | null;
  /** Pairs that merge, the first the most urgent; null where scores say what does. */
  readonly merges: StringArray | null;
  /** `tokenizer.ggml.pre`, empty when the file has none. */
  readonly pre: string;
  readonly ids: {
    readonly bos: number | null;
    readonly eos: number | null;
    readonly unknown: number | null;
    readonly eot: number | null;
    readonly eom: number | null;
  };
  readonly addsBos: boolean | null;
  readonly addsEos: boolean | null;
  readonly addsSpacePrefix: boolean;
  readonly removesExtraSpaces: boolean;
  /** Of Phi 3, whose special tokens swallow the white space behind them. */
  readonly isPhi3: boolean;
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
  const { kind, listsMerges } = readKind(metadata);
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
  return {
    kind,
    tokens,
    types: perToken(metadata, "tokenizer.ggml.token_type", tokens.length),
    scores: !listsMerges ? perToken(metadata, "tokenizer.ggml.scores", tokens.length) : null,
    merges,
    pre: getString(metadata, "tokenizer.ggml.pre", ""),
    ids: {
      bos: id("bos"),
      eos: id("eos"),
      unknown: id("unknown"),
      eot: id("eot"),
      eom: id("eom"),
    },
    addsBos: optionalBoolean(metadata, "tokenizer.ggml.add_bos_token"),
    addsEos: optionalBoolean(metadata, "tokenizer.ggml.add_eos_token"),
    addsSpacePrefix: getBoolean(metadata, "tokenizer.ggml.add_space_prefix", !listsMerges),
    removesExtraSpaces: getBoolean(metadata, "tokenizer.ggml.remove_extra_whitespaces", false),
    isPhi3: /phi-?3/i.test(getString(metadata, "general.name", "")),
    warnings,
  };
}

/** Gemma 4 spells tokens as SentencePiece does and lists merges as byte-level BPE does. */
function readKind(
  metadata: Metadata,
): Pick<VocabMetadata, "kind"> & { readonly listsMerges: boolean } {
  const kind = getString(metadata, "tokenizer.ggml.model");
  if (kind === "gemma4") return { kind: "llama", listsMerges: true };
  if (kind === "rwkv") return { kind, listsMerges: false };
  if (kind === "llama" || kind === "gpt2") return { kind, listsMerges: kind === "gpt2" };
  throw new UnsupportedModelError(
    `Cannot use a tokenizer of the kind "${kind.slice(0, 80)}": only "llama" (SentencePiece), ` +
      `"gpt2" (byte-level BPE), "gemma4" and "rwkv" are supported: choose a model with ` +
      `one of these`,
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
