/**
 * How many tokens a step of a GPU is to compute in one wait: several where one sequence generates,
 * nobody else waits, and its sampler can be told ahead; few enough that a cancel is heard and words
 * come evenly. And of the chain behind it, with how many tokens the GPU goes ahead, so that it has
 * work while this one's are read. Knows times and counts; nothing of GPUs.
 */
import type { TokenChain } from "../rank/gpu/token_chain.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Sequence } from "./sequence.ts";
import type { StepTimes } from "./step_times.ts";

/** Words come at least 30 times a second, and a cancel is heard as soon. */
const WAIT_MS = 33;

/** Logits that are alike, too many to sort, are a model's way: its chains would all be lost. */
const SINGLES = 64;

/**
 * What is computed ahead takes about as long as a thread needs to read a chain and to send what
 * follows. It is wasted where an answer ends, or somebody joins: so much of it at most, and an
 * eighth of a chain.
 */
const AHEAD_MS = 2.5;
const AHEAD_MAX = 2;

/** What computes several tokens a wait: a `TokenChain`. */
export type Chain = Pick<TokenChain, "tokensMax" | "choice" | "sentCount" | "idAt"> & {
  tokens: number;
  ahead: number;
  goesOn: boolean;
};

export class Chains {
  /** Of the step that was planned; and of the one behind it, if that is a chain, too. */
  tokens = 1;
  ahead = 0;
  /** The step that was planned is what the one before has gone ahead with. */
  goesOn = false;
  /** It begins behind tokens that were computed for nothing. */
  hasWaste = false;
  /** Whose chain was planned last, and where it ends; -1: none was. */
  #slot = -1;
  #end = 0;
  readonly #chain: Chain;
  readonly #times: StepTimes;
  readonly #waitMs: number;
  /** So many steps are of one token. */
  #singles = 0;

  constructor(chain: Chain, times: StepTimes, waitMs = WAIT_MS) {
    this.#chain = chain;
    this.#times = times;
    this.#waitMs = waitMs;
  }

  /** A token's best logits could not be told: the next step brings all of them, and more do. */
  holdBack(): void {
    this.#singles = SINGLES;
  }

  /** A token needs all logits: the next step brings them. */
  single(): void {
    this.#singles = 1;
  }

  /** Behind the scheduler's plan. mayBeLong: nobody wants the step to be short. */
  plan(scheduler: Scheduler<Sequence>, { mayBeLong }: { readonly mayBeLong: boolean }): void {
    const last = this.tokens - 1;
    this.ahead = 0;
    this.tokens = mayBeLong && this.#singles === 0 ? this.#count(scheduler) : 1;
    this.#singles = Math.max(0, this.#singles - 1);
    const { sentCount } = this.#chain;
    const [{ slot, computed, ids }] = scheduler.sequences;
    this.goesOn = sentCount > 0 && this.tokens > sentCount && slot === this.#slot &&
      computed === this.#end && ids[computed] === this.#chain.idAt(last);
    this.hasWaste = sentCount > 0 && !this.goesOn;
    this.#slot = this.tokens > 1 ? slot : -1;
    this.#end = computed + this.tokens;
    this.#chain.tokens = this.tokens;
    this.#chain.ahead = this.ahead;
    this.#chain.goesOn = this.goesOn;
  }

  #count({ active, waiting, sequences, rows, count }: Scheduler<Sequence>): number {
    if (active.length !== 1 || waiting.length > 0 || count !== 1 || rows[0] !== 1) return 1;
    const [{ computed, known, isGenerating, maxTokens, answered, chooser }] = sequences;
    if (!isGenerating || known - computed !== 1 || !this.#times.knows(1)) return 1;
    const { tokensMax, choice } = this.#chain;
    const tokenMs = this.#times.estimate(1);
    const most = Math.min(tokensMax, Math.floor(this.#waitMs / tokenMs));
    const left = maxTokens - answered;
    const wanted = Math.min(AHEAD_MAX, Math.floor(tokensMax / 8), Math.ceil(AHEAD_MS / tokenMs));
    // The next chain has tokens of its own behind those.
    const fewer = Math.min(most, tokensMax - wanted);
    const ahead = left <= most ? 0 : Math.min(wanted, left - 1 - fewer);
    const tokens = ahead > 0 ? fewer : Math.min(most, left);
    if (tokens <= 1 || !chooser.foretell(choice, tokens + ahead)) return 1;
    this.ahead = ahead;
    return tokens;
  }
}
