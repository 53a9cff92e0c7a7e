/**
 * How many tokens a step of a GPU is to compute in one wait: several where one sequence generates,
 * nobody else waits, and its sampler can be told ahead; few enough that a cancel is heard and words
 * come evenly. Knows times and counts; nothing of GPUs.
 */
import type { ChainChoice } from "../rank/gpu/token_chain.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Sequence } from "./sequence.ts";
import type { StepTimes } from "./step_times.ts";

/** Words come at least 30 times a second, and a cancel is heard as soon. */
const WAIT_MS = 33;

/** Logits that are alike, too many to sort, are a model's way: its chains would all be lost. */
const SINGLES = 64;

/** What computes several tokens a wait: a `TokenChain`. */
export interface Chain {
  readonly tokensMax: number;
  readonly choice: ChainChoice;
  tokens: number;
}

export class Chains {
  /** Of the step that was planned. */
  tokens = 1;
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
    this.tokens = mayBeLong && this.#singles === 0 ? this.#count(scheduler) : 1;
    this.#singles = Math.max(0, this.#singles - 1);
    this.#chain.tokens = this.tokens;
  }

  #count({ active, waiting, sequences, rows, count }: Scheduler<Sequence>): number {
    if (active.length !== 1 || waiting.length > 0 || count !== 1 || rows[0] !== 1) return 1;
    const [{ computed, known, isGenerating, maxTokens, answered, chooser }] = sequences;
    if (!isGenerating || known - computed !== 1 || !this.#times.knows(1)) return 1;
    const byTime = Math.floor(this.#waitMs / this.#times.estimate(1));
    const tokens = Math.min(this.#chain.tokensMax, byTime, maxTokens - answered);
    return tokens > 1 && chooser.foretell(this.#chain.choice, tokens) ? tokens : 1;
  }
}
