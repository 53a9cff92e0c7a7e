/**
 * Small vocabularies made in the tests, as the metadata of a GGUF file: every byte, what a few
 * merges make of them, and special tokens. And the simplest encoders there are, to compare with.
 */
import { type GgufValue, packStrings } from "../../src/gguf/mod.ts";
import { TokenType } from "../../src/tokenizer/token_types.ts";

export type Metadata = Map<string, GgufValue>;

/** A token besides those that the vocabulary needs anyway. */
export interface ExtraToken {
  readonly text: string;
  readonly type: number;
  readonly score?: number;
}

/** The 256 characters of the byte alphabet, by byte. */
export const ALPHABET: readonly string[] = byteAlphabet();

/** Byte-level BPE: the alphabet (ids 0 to 255), what `merges` make, and `extra`, in this order. */
export function bpeMetadata(
  merges: readonly string[],
  { pre = "gpt-2", extra = [] }: { pre?: string; extra?: readonly ExtraToken[] } = {},
): Metadata {
  const merged = [...new Set(merges.map((merge) => merge.replace(" ", "")))];
  const texts = [...ALPHABET, ...merged, ...extra.map(({ text }) => text)];
  const types = new Int32Array(texts.length).fill(TokenType.normal);
  extra.forEach(({ type }, i) => types[ALPHABET.length + merged.length + i] = type);
  return new Map<string, GgufValue>([
    ["tokenizer.ggml.model", "gpt2"],
    ["tokenizer.ggml.pre", pre],
    ["tokenizer.ggml.tokens", packStrings(texts)],
    ["tokenizer.ggml.token_type", types],
    ["tokenizer.ggml.merges", packStrings(merges)],
  ]);
}

/** SentencePiece: <unk>, <s>, </s>, 256 bytes (ids 3 to 258), then `pieces` and `extra`. */
export function spmMetadata(
  pieces: readonly { text: string; score: number }[],
  { extra = [] }: { extra?: readonly ExtraToken[] } = {},
): Metadata {
  const tokens: ExtraToken[] = [
    { text: "<unk>", type: TokenType.unknown },
    { text: "<s>", type: TokenType.control },
    { text: "</s>", type: TokenType.control },
    ...Array.from({ length: 256 }, (_, byte) => ({
      text: `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
      type: TokenType.byte,
    })),
    ...pieces.map((piece) => ({ ...piece, type: TokenType.normal })),
    ...extra,
  ];
  return new Map<string, GgufValue>([
    ["tokenizer.ggml.model", "llama"],
    ["tokenizer.ggml.tokens", packStrings(tokens.map(({ text }) => text))],
    ["tokenizer.ggml.token_type", Int32Array.from(tokens, ({ type }) => type)],
    ["tokenizer.ggml.scores", Float32Array.from(tokens, ({ score = 0 }) => score)],
    ["tokenizer.ggml.bos_token_id", 1],
    ["tokenizer.ggml.eos_token_id", 2],
    ["tokenizer.ggml.unknown_token_id", 0],
  ]);
}

/** At most `countMax` merges that byte-pair encoding learns from `text`, in the byte alphabet. */
export function learnMerges(text: string, countMax: number): string[] {
  let symbols = [...new TextEncoder().encode(text)].map((byte) => ALPHABET[byte]);
  const merges: string[] = [];
  while (merges.length < countMax) {
    const counts = new Map<string, number>();
    for (let i = 0; i + 1 < symbols.length; i++) {
      const pair = `${symbols[i]} ${symbols[i + 1]}`;
      counts.set(pair, (counts.get(pair) ?? 0) + 1);
    }
    const [best, count] = [...counts].reduce((a, b) => b[1] > a[1] ? b : a);
    if (count < 2) break;
    merges.push(best);
    symbols = mergeAll(symbols, best);
  }
  return merges;
}

/** The merged symbols of a word, by trying all merges in their order again and again. */
export function naiveMerge(word: readonly string[], merges: readonly string[]): string[] {
  let symbols = [...word];
  for (let rank = 0; rank < merges.length;) {
    const merged = mergeAll(symbols, merges[rank]);
    rank = merged.length < symbols.length ? 0 : rank + 1;
    symbols = merged;
  }
  return symbols;
}

function mergeAll(symbols: readonly string[], merge: string): string[] {
  const [left, right] = merge.split(" ");
  const out: string[] = [];
  for (let i = 0; i < symbols.length; i++) {
    const isPair = symbols[i] === left && symbols[i + 1] === right;
    out.push(isPair ? left + right : symbols[i]);
    if (isPair) i++;
  }
  return out;
}

function byteAlphabet(): string[] {
  const characters: string[] = [];
  for (let byte = 0, next = 0x100; byte < 256; byte++) {
    const isItself = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    characters.push(String.fromCharCode(isItself ? byte : next++));
  }
  return characters;
}
