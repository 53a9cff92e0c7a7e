/**
 * The threads' meeting place, over the words of control_layout.ts. The only file that spins or
 * sleeps. Knows nothing of models.
 *
 * A waiting thread spins for a bounded time, because waking a sleeper costs 25 µs and more, and
 * then sleeps, because a spinner on a busy machine takes the core that the others need.
 */
import {
  ABORT_AT_WORDS,
  BARRIER_ARRIVED_WORD,
  BARRIER_GENERATION_WORD,
  BARRIER_SLEEPERS_WORD,
  CANCEL_WORD,
  FAILED_WORD,
  HEARTBEAT_WORD,
  IDS_WORD,
  OUTPUT_COUNT_WORD,
  OUTPUT_VERSION_WORD,
  STEP_KIND_EXIT,
  STEP_KIND_WORD,
  STEP_LOGITS_COUNT_WORD,
  STEP_POSITION_WORD,
  STEP_SEQUENCE_WORD,
  STEP_SLEEPERS_WORD,
  STEP_TOKEN_COUNT_WORD,
} from "./control_layout.ts";

/** About 800 µs of spinning: one probe is an atomic load and a pause, about 40 ns. */
const SPIN_PROBES = 20_000;
/**
 * With more threads than cores, who spins may take the core of the one it waits for; but threads
 * that read need little of it, and a sleep at each of 150 joins costs more (NOTES.md).
 */
const CROWDED_SPIN_PROBES = 2_000;
/** A sleeper looks up this often, so that a failed thread is noticed without a notification. */
const SLEEP_MS_MAX = 200;

// Atomics.pause is newer than TypeScript's library.
const pause: () => void = (Atomics as { pause?: () => void }).pause ?? (() => {});

/** Thrown on every rank when another one has failed; the failed one reports the cause itself. */
export class RankFailedError extends Error {
  override readonly name = "RankFailedError";
}

/** What a step asks of the ranks. */
export interface StepWords {
  kind: number;
  tokenCount: number;
  position: number;
  /** Logits are wanted for the last so many tokens. */
  logitsCount: number;
}

/** One thread's hold on the control block. */
export class Control {
  readonly words: Int32Array;
  readonly #rankCount: number;
  readonly #chunkTokens: number;
  readonly #leads: boolean;
  readonly #spinProbes: number;
  #stepSequence = 0;
  /** Joins reached so far, the same on all ranks; wraps around. */
  #joinCount = 0;

  constructor(
    buffer: SharedArrayBuffer,
    size: {
      rankCount: number;
      chunkTokens: number;
      leads: boolean;
      /** Threads that work while ranks do: those that read. Default 0. */
      otherThreads?: number;
    },
  ) {
    this.words = new Int32Array(buffer);
    this.#rankCount = size.rankCount;
    this.#chunkTokens = size.chunkTokens;
    this.#leads = size.leads;
    const threads = size.rankCount + (size.otherThreads ?? 0);
    const isCrowded = threads > navigator.hardwareConcurrency;
    this.#spinProbes = isCrowded ? CROWDED_SPIN_PROBES : SPIN_PROBES;
    // An odd number, which no even join has: join 0 comes again after 2^32 of them.
    if (size.leads) this.words[ABORT_AT_WORDS] = 1;
  }

  // --- the leader ------------------------------------------------------------------------------

  /** Starts a step on all ranks. The ids are in `stepIds()` already. */
  publish(step: StepWords): void {
    const words = this.words;
    words[STEP_KIND_WORD] = step.kind;
    words[STEP_TOKEN_COUNT_WORD] = step.tokenCount;
    words[STEP_POSITION_WORD] = step.position;
    words[STEP_LOGITS_COUNT_WORD] = step.logitsCount;
    this.#stepSequence = (Atomics.add(words, STEP_SEQUENCE_WORD, 1) + 1) | 0;
    if (Atomics.load(words, STEP_SLEEPERS_WORD) > 0) Atomics.notify(words, STEP_SEQUENCE_WORD);
  }

  /** Sends the ranks home; they leave their loops and close. */
  publishExit(): void {
    this.publish({ kind: STEP_KIND_EXIT, tokenCount: 0, position: 0, logitsCount: 0 });
  }

  // --- all ranks -------------------------------------------------------------------------------

  /** Waits for the next step and copies its words into `step`. */
  awaitStep(step: StepWords): void {
    const words = this.words;
    const seen = this.#stepSequence;
    this.#waitWhile(STEP_SEQUENCE_WORD, seen, STEP_SLEEPERS_WORD);
    this.#stepSequence = Atomics.load(words, STEP_SEQUENCE_WORD);
    step.kind = words[STEP_KIND_WORD];
    step.tokenCount = words[STEP_TOKEN_COUNT_WORD];
    step.position = words[STEP_POSITION_WORD];
    step.logitsCount = words[STEP_LOGITS_COUNT_WORD];
  }

  /**
   * Waits until every rank is here. What ranks wrote before is visible to all after.
   *
   * Before it arrives, the leader looks whether the request was cancelled, and then names this join
   * as the last one. Naming a join, not "now", makes all ranks leave at the same place.
   * @returns false when the step ends here.
   * @throws {RankFailedError} when a rank has failed.
   */
  join(): boolean {
    const words = this.words;
    this.#joinCount = (this.#joinCount + 1) | 0;
    const abortWord = ABORT_AT_WORDS + (this.#joinCount & 1);
    if (this.#leads) {
      // One thread writes it, and who reads it is in no hurry.
      words[HEARTBEAT_WORD]++;
      if (Atomics.load(words, CANCEL_WORD) !== 0) Atomics.store(words, abortWord, this.#joinCount);
    }
    if (this.#rankCount > 1) {
      const generation = Atomics.load(words, BARRIER_GENERATION_WORD);
      if (Atomics.add(words, BARRIER_ARRIVED_WORD, 1) === this.#rankCount - 1) {
        Atomics.store(words, BARRIER_ARRIVED_WORD, 0);
        Atomics.add(words, BARRIER_GENERATION_WORD, 1);
        if (Atomics.load(words, BARRIER_SLEEPERS_WORD) > 0) {
          Atomics.notify(words, BARRIER_GENERATION_WORD);
        }
      } else {
        this.#waitWhile(BARRIER_GENERATION_WORD, generation, BARRIER_SLEEPERS_WORD);
      }
    }
    return Atomics.load(words, abortWord) !== this.#joinCount;
  }

  /** Marks this rank as failed and wakes everybody who waits. */
  fail(rankIndex: number): void {
    Atomics.compareExchange(this.words, FAILED_WORD, 0, rankIndex + 1);
    Atomics.notify(this.words, BARRIER_GENERATION_WORD);
    Atomics.notify(this.words, STEP_SEQUENCE_WORD);
    this.announceOutput();
  }

  /** Changes whenever ranks have got a join further. */
  get heartbeat(): number {
    return Atomics.load(this.words, HEARTBEAT_WORD);
  }

  /** Index of the rank that failed first, or -1. */
  failedRank(): number {
    return Atomics.load(this.words, FAILED_WORD) - 1;
  }

  /** Ids of the current step, [chunkTokens]. */
  stepIds(): Int32Array {
    return this.words.subarray(IDS_WORD, IDS_WORD + this.#chunkTokens);
  }

  // --- the running request ---------------------------------------------------------------------

  /** Ids of the answer so far, [contextLength]. */
  outputIds(): Int32Array {
    return this.words.subarray(IDS_WORD + this.#chunkTokens);
  }

  get cancelled(): boolean {
    return Atomics.load(this.words, CANCEL_WORD) !== 0;
  }

  set cancelled(value: boolean) {
    Atomics.store(this.words, CANCEL_WORD, value ? 1 : 0);
  }

  get outputCount(): number {
    return Atomics.load(this.words, OUTPUT_COUNT_WORD);
  }

  set outputCount(count: number) {
    Atomics.store(this.words, OUTPUT_COUNT_WORD, count);
    this.announceOutput();
  }

  get outputVersion(): number {
    return Atomics.load(this.words, OUTPUT_VERSION_WORD);
  }

  /** Wakes whoever follows the output. */
  announceOutput(): void {
    Atomics.add(this.words, OUTPUT_VERSION_WORD, 1);
    Atomics.notify(this.words, OUTPUT_VERSION_WORD);
  }

  /** Settles when the output has changed since `version`; does not block the thread. */
  outputChanged(version: number): Promise<unknown> {
    const wait = Atomics.waitAsync(this.words, OUTPUT_VERSION_WORD, version);
    return wait.async ? wait.value : Promise.resolve();
  }

  #waitWhile(word: number, value: number, sleepersWord: number): void {
    const words = this.words;
    for (let probe = 0; probe < this.#spinProbes; probe++) {
      if (Atomics.load(words, word) !== value) return;
      pause();
    }
    Atomics.add(words, sleepersWord, 1);
    while (Atomics.load(words, word) === value) {
      if (Atomics.load(words, FAILED_WORD) !== 0) {
        Atomics.sub(words, sleepersWord, 1);
        throw new RankFailedError(`Rank ${this.failedRank()} has failed`);
      }
      Atomics.wait(words, word, value, SLEEP_MS_MAX);
    }
    Atomics.sub(words, sleepersWord, 1);
  }
}
