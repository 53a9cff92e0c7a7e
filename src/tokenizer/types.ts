/** Text to ids and back. Knows nothing of models beyond their vocabulary. */
import type { Steps } from "../base/steps.ts";

/**
 * A lone surrogate that no well-formed text contains. The chat template's renderer puts it inside
 * any text of a user that spells a special token; `encode` with `special: true` drops it after it
 * has looked for special tokens, so what a user wrote stays text.
 */
export const SPECIAL_TOKEN_BREAKER = "\uD800";

export interface Tokenizer {
  /**
   * "llama" (SentencePiece), "gpt2" (byte-level BPE), "rwkv" (the longest token that fits), "bert"
   * (WordPiece), "t5" (unigram), "plamo2" (the cheapest tokens), or "none" where there is no
   * vocabulary.
   */
  readonly kind: "llama" | "gpt2" | "rwkv" | "bert" | "t5" | "plamo2" | "none";
  readonly vocabSize: number;
  readonly bosId: number | null;
  readonly eosId: number | null;
  /** Ids that end a generation: EOS, EOT, EOM and their kin. */
  readonly endIds: ReadonlySet<number>;
  /** True when a prompt should begin with BOS. */
  readonly addBos: boolean;
  readonly addEos: boolean;
  /** What stands between two texts that are read together, where `addSeparator` says so. */
  readonly separatorId: number | null;
  readonly addSeparator: boolean;
  /** A pair of texts as the model was taught them, with {query} and {document}; null: by marks. */
  readonly pairTemplate: string | null;
  /** Texts of control and user-defined tokens: what a user's text must not turn into. */
  readonly specialTexts: readonly string[];

  /**
   * Ids of `text`, no BOS or EOS added. Special tokens are recognised only with
   * `special: true`; otherwise their text is encoded as ordinary text.
   */
  encode(text: string, options?: { special?: boolean }): number[];

  /** The same in steps of a few milliseconds, for who has other things to do meanwhile. */
  encodeSteps(text: string, options?: { special?: boolean }): Steps<number[]>;

  /** Text of `ids`; control tokens are left out unless `special: true`. */
  decode(ids: readonly number[], options?: { special?: boolean }): string;

  /** The token's bytes, as they appear in text; empty for control tokens. */
  bytesOf(id: number): Uint8Array;

  /** The token's text as the vocabulary spells it ("▁Once", "<|im_end|>"). */
  pieceOf(id: number): string;

  /**
   * A decoder that is fed one id at a time and never splits a code point. With `atStart`, the ids
   * begin a text, and the space that encoding puts before one is dropped as `decode` does;
   * without, they continue a prompt and keep their spaces.
   */
  streamDecoder(options?: { atStart?: boolean }): StreamDecoder;
}

export interface StreamDecoder {
  /** Text that `id` completes; what is still partial UTF-8 is held back. */
  push(id: number): string;
  /** What was held back, as U+FFFD where it never became a code point. */
  flush(): string;
}
