/**
 * What a request asks of the engine beside its prompt: how ids are chosen, a compiled grammar, room
 * for log probabilities. Knows the tokenizer and the file's wishes; the choosing is the engine's.
 */
import { RequestError } from "../base/errors.ts";
import { createLogprobRows, type LogprobRows, LOGPROBS_TOP_MAX } from "../engine/logprob_rows.ts";
import type { RequestGrammar } from "../engine/chooser.ts";
import type { EngineRequest } from "../engine/types.ts";
import {
  compileGrammar,
  type Grammar,
  MARKER_BYTE,
  markerBytes,
  type VocabularyBytes,
} from "../grammar/mod.ts";
import type { Tokenizer } from "../tokenizer/types.ts";
import { BreakerIds } from "./breaker_ids.ts";
import { withDefaults } from "./sampling_defaults.ts";
import type { GenerateRequest, GrammarSource, SamplingOptions } from "./types.ts";

/** Compiled grammars that are kept, and characters of their sources. */
const KEPT_MAX = 32;
const KEPT_LENGTH_MAX = 1 << 16;

/** Prepares the requests of one model. */
export class RequestExtras {
  readonly #tokenizer: Tokenizer;
  readonly #vocabSize: number;
  readonly #sampling: SamplingOptions;
  readonly #breakers: BreakerIds;
  #vocabulary: VocabularyBytes | null = null;
  /** By source as JSON, the one that was used last at the end. */
  readonly #kept = new Map<string, Grammar>();

  /**
   * vocabSize: ids that the model has logits of.
   * sampling: what the model's file says of it.
   */
  constructor(tokenizer: Tokenizer, vocabSize: number, sampling: SamplingOptions = {}) {
    this.#sampling = sampling;
    this.#tokenizer = tokenizer;
    this.#vocabSize = vocabSize;
    this.#breakers = new BreakerIds(tokenizer, vocabSize);
  }

  /**
   * What the engine gets beside ids.
   * @throws {RequestError} 400 for a grammar that is refused, or more alternatives than there are.
   */
  of(
    { grammar, prelude, logprobs, sampling: asked }: GenerateRequest,
    maxTokens: number,
  ): Pick<EngineRequest, "sampling" | "breakers" | "grammar" | "prelude" | "logprobs"> {
    const sampling = withDefaults(this.#sampling, asked);
    const { dryMultiplier = 0, dryBreakers } = sampling;
    return {
      sampling,
      ...dryMultiplier === 0 ? {} : { breakers: this.#breakers.of(dryBreakers) },
      ...grammar === undefined ? {} : { grammar: this.#grammarOf(grammar) },
      ...prelude && { prelude: { ...prelude, grammar: this.#grammarOf(prelude.grammar) } },
      ...logprobs === undefined ? {} : { logprobs: logprobRows(logprobs, maxTokens) },
    };
  }

  #grammarOf(source: GrammarSource): RequestGrammar {
    if (this.#tokenizer.vocabSize === 0) {
      throw new RequestError(
        "Cannot follow a grammar: this model has no vocabulary: leave it out",
        { status: 400, code: "no_vocabulary" },
      );
    }
    const grammar = this.#compiled(source);
    this.#vocabulary ??= vocabularyBytes(this.#tokenizer, this.#vocabSize);
    return { grammar, vocabulary: this.#vocabulary };
  }

  #compiled(source: GrammarSource): Grammar {
    const grammar = this.#known(source) ?? compileGrammar(source);
    if (grammar.key.length > KEPT_LENGTH_MAX) return grammar;
    this.#kept.delete(grammar.key);
    this.#kept.set(grammar.key, grammar);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_MAX) this.#kept.delete(oldest);
    return grammar;
  }

  /** A grammar that was compiled before; what is no JSON is refused by compiling it. */
  #known(source: GrammarSource): Grammar | undefined {
    try {
      return this.#kept.get(JSON.stringify(source));
    } catch {
      return undefined;
    }
  }
}

/**
 * Room for log probabilities of so many ids, with so many alternatives each.
 * @throws {RequestError} 400 for more alternatives than there are.
 */
export function logprobRows(count: number, ids: number): LogprobRows {
  if (Number.isInteger(count) && count >= 0 && count <= LOGPROBS_TOP_MAX) {
    return createLogprobRows(count, ids);
  }
  throw new RequestError(
    `Cannot give log probabilities of ${count} alternatives: ask for 0 to ${LOGPROBS_TOP_MAX}`,
    { status: 400, code: "invalid_value", param: "top_logprobs" },
  );
}

/** The bytes of all tokens, in shared memory. */
export function vocabularyBytes(tokenizer: Tokenizer, vocabSize: number): VocabularyBytes {
  const count = tokenizer.vocabSize;
  const offsets = new Uint32Array(new SharedArrayBuffer(4 * (count + 1)));
  const pieceOf = (id: number) => {
    const bytes = tokenizer.bytesOf(id);
    if (bytes.length === 0) {
      const name = tokenizer.pieceOf(id);
      return name === "" ? NO_BYTES : markerBytes(name);
    }
    // A byte that no text has is nothing for a grammar, and must not begin a marker.
    return bytes.includes(MARKER_BYTE) ? NO_BYTES : bytes;
  };
  for (let id = 0; id < count; id++) offsets[id + 1] = offsets[id] + pieceOf(id).length;
  const bytes = new Uint8Array(new SharedArrayBuffer(offsets[count]));
  for (let id = 0; id < count; id++) bytes.set(pieceOf(id), offsets[id]);
  return { vocabSize, bytes, offsets, endIds: [...tokenizer.endIds] };
}

const NO_BYTES = new Uint8Array(0);
