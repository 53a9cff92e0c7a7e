/**
 * Chooses the ids of one answer: the sampler, the grammar it is held to, and the log probabilities
 * that were asked for. Works on ids; knows nothing of text.
 */
import { RequestError } from "../base/errors.ts";
import type { GgufPart } from "../gguf/types.ts";
import {
  buildTokenTrie,
  type Grammar,
  GrammarKnowledge,
  GrammarMatcher,
  type TokenTrie,
  type VocabularyBytes,
} from "../grammar/mod.ts";
import type { ChainChoice } from "../rank/gpu/token_chain.ts";
import { LogprobRecorder } from "./logprob_rows.ts";
import { PreludeFilter } from "./prelude_filter.ts";
import { Sampler } from "./sampler.ts";
import type { ScoreBoard } from "./score_board.ts";
import type { EngineRequest } from "./types.ts";

/** A grammar as it comes with a request. */
export interface RequestGrammar {
  readonly grammar: Grammar;
  /** Shared, and the same with every request of a model. */
  readonly vocabulary: VocabularyBytes;
}

/** Grammars about which is remembered what was found out. */
const KNOWN_GRAMMARS_MAX = 16;

/** What the choosers of all answers share. */
export class ChoosingTools {
  readonly board: ScoreBoard;
  #trie: TokenTrie | null = null;
  #logits: Float32Array | null = null;
  /** By grammar, the one that was used last at the end. */
  readonly #known = new Map<string, GrammarKnowledge>();

  constructor(board: ScoreBoard) {
    this.board = board;
  }

  /** [vocab]: scratch, made when it is first asked for. */
  get logits(): Float32Array {
    return this.#logits ??= new Float32Array(this.board.vocabSize);
  }

  /** tokensMax: ids that the answer has room for. */
  matcherFor(
    { grammar, vocabulary }: RequestGrammar,
    options: { readonly endIds: readonly number[]; readonly tokensMax: number },
  ): GrammarMatcher {
    this.#trie ??= buildTokenTrie(vocabulary);
    const known = this.#known.get(grammar.key) ?? new GrammarKnowledge(grammar, this.#trie);
    this.#known.delete(grammar.key);
    this.#known.set(grammar.key, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > KNOWN_GRAMMARS_MAX) this.#known.delete(oldest);
    return new GrammarMatcher(known, options);
  }
}

/** The chooser of one answer. */
export class Chooser {
  readonly #sampler: Sampler;
  readonly #matcher: GrammarMatcher | null;
  /** What the answer begins with, and the grammar beside it; null: it begins with nothing. */
  readonly #prelude: PreludeFilter | null;
  readonly #recorder: LogprobRecorder | null;
  /** Ids of the prompt that have not been told yet. */
  #promptRest: number;

  /**
   * Begins an answer of at most `tokensMax` ids.
   * @throws {RequestError} 400 when its grammar cannot be followed.
   */
  constructor(request: EngineRequest, tools: ChoosingTools, tokensMax: number) {
    const { board } = tools;
    const { grammar, prelude, endIds } = request;
    this.#matcher = grammar ? tools.matcherFor(grammar, { endIds, tokensMax }) : null;
    this.#prelude = prelude ? preludeFilter({ ...request, prelude }, this.#matcher, tools) : null;
    const filter = this.#prelude ?? this.#matcher;
    this.#sampler = new Sampler(request.sampling, board, filter, request.breakers);
    const { logprobs } = request;
    this.#recorder = logprobs ? new LogprobRecorder(logprobs, board, tools.logits) : null;
    this.#promptRest = request.ids.length;
  }

  /** True when the grammar lets nothing follow: the answer is at its end. */
  get isFinished(): boolean {
    return this.#matcher?.isFinished ?? false;
  }

  /** True when the answer is a sentence of its grammar, whether something may follow or not. */
  get isSentence(): boolean {
    return this.#matcher !== null && this.#matcher.isComplete && !this.#matcher.isFree;
  }

  /** As `Sampler.foretell`; false, too, where log probabilities are wanted. */
  foretell(choice: ChainChoice, count: number): boolean {
    return this.#recorder === null && this.#sampler.foretell(choice, count);
  }

  /** As `Sampler.isTold`; false, too, where the grammar is too ambiguous: `sample` will say so. */
  get isTold(): boolean {
    try {
      return this.#sampler.isTold;
    } catch {
      return false;
    }
  }

  /**
   * The id to go on with, from the logits on the board.
   * @throws {RequestError} 400 when no id fits the grammar, or it is too ambiguous.
   */
  sample(): number {
    this.#recorder?.look();
    return this.#sampler.sample();
  }

  /** The prompt's first `count` ids were not said: those of a source. */
  skip(count: number): void {
    this.#promptRest -= count;
  }

  /** Is told the ids of the prompt, then those of the answer as they are chosen, in order. */
  accept(id: number): void {
    const isPrompts = this.#promptRest > 0;
    if (isPrompts) this.#promptRest--;
    // A row that was given is no token that could come again.
    if (id < 0) return;
    if (!isPrompts) {
      this.#recorder?.record(id);
      this.#prelude?.accept(id);
      this.#matcher?.accept(id);
    }
    this.#sampler.accept(id);
  }
}

function preludeFilter(
  { prelude: { grammar, ...counts }, endIds, sampling }:
    & EngineRequest
    & Required<Pick<EngineRequest, "prelude">>,
  answer: GrammarMatcher | null,
  tools: ChoosingTools,
): PreludeFilter {
  const { vocabSize } = tools.board;
  const newMatcher = () => tools.matcherFor(grammar, { endIds, tokensMax: Infinity });
  const never = [...sampling.logitBias ?? []]
    .flatMap(([id, bias]) => bias === -Infinity && id < vocabSize ? [id] : []);
  return new PreludeFilter(newMatcher, answer, { ...counts, endIds, vocabSize, never });
}

/**
 * Why no id can be chosen where scores are not numbers. mix: what counts of adapters, or "";
 * parts: the model's files, and those that change it.
 */
export function noLogits(
  position: number,
  mix: string,
  { parts }: { readonly parts: readonly GgufPart[] },
): RequestError {
  const names = new Set(parts.flatMap(({ path, use }) => use === undefined ? [] : fileName(path)));
  const changed = [...names].map((name) => JSON.stringify(name)).join(", ");
  if (mix !== "") {
    return new RequestError(
      `Cannot choose token ${position}: its logits are not numbers, with ${mix} times the ` +
        "model's adapters: ask for less of them (lora), or for the model without; where that " +
        `does not help, ${changed && `${changed} changes too much, or `}weights of the model are ` +
        "damaged",
      { status: 400, code: "invalid_value", param: "lora" },
    );
  }
  if (changed !== "") {
    return new RequestError(
      `Cannot choose token ${position}: its logits are not numbers, with ${changed}: load the ` +
        "model with a smaller scale of that (--lora, --control-vector), or without; where that " +
        "does not help, weights of the model are damaged",
      { status: 500, code: "model_damaged" },
    );
  }
  return new RequestError(
    `Cannot choose token ${position}: its logits are not numbers: weights of the model are NaN, ` +
      `infinite or far too large: download the file again, or take another one`,
    { status: 500, code: "model_damaged" },
  );
}

/** Without the folder: a worker starts without any of Node's modules, so not by node:path. */
function fileName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
}
