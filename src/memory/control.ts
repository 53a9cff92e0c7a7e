/**
 * The threads' meeting place, over the words of control_layout.ts. The only file that spins; for
 * reads, ranks and workers sleep and wake in src/io. Knows nothing of models.
 *
 * A waiting thread spins for a bounded time, because waking a sleeper costs 25 µs and more, and
 * then sleeps, because a spinner on a busy machine takes the core that the others need. How long
 * it spins, spin_bound.ts learns.
 */
import {
  ABORT_AT_WORDS,
  BARRIER_ARRIVED_WORD,
  BARRIER_GENERATION_WORD,
  BARRIER_SLEEPERS_WORD,
  CANCEL_WORD,
  type ControlSize,
  FAILED_WORD,
  HEARTBEAT_WORD,
  idsWord,
  KV_TOKENS_WORD,
  MESSAGE_WORD,
  OUTPUT_VERSION_WORD,
  positionsWord,
  SEGMENTS_WORD,
  SLOT_ACCEPTED,
  SLOT_CANCELLED,
  SLOT_DRAFTED,
  SLOT_HEAD_WORDS,
  SLOT_OUTPUT_COUNT,
  slotsWord,
  STEP_ACTIVE_COUNT_WORD,
  STEP_KIND_EXIT,
  STEP_KIND_WORD,
  STEP_SEGMENT_COUNT_WORD,
  STEP_SEQUENCE_WORD,
  STEP_SLEEPERS_WORD,
  STEP_TOKEN_COUNT_WORD,
} from "./control_layout.ts";
import { SHORT_PROBES, SpinBound } from "./spin_bound.ts";

/** About 800 µs of spinning: one probe is an atomic load and a pause, about 40 ns. */
const SPIN_PROBES = 20_000;
/**
 * With more threads than cores, who spins may take the core of the one it waits for; but threads
 * that read need little of it, and a sleep at each of 150 joins costs more (NOTES.md).
 */
const CROWDED_SPIN_PROBES = 2_000;
/** What a thread's waits spin at most: see `boundSpin`. */
let spinProbesMax = SPIN_PROBES;
/** A sleeper looks up this often, so that a failed thread is noticed without a notification. */
const SLEEP_MS_MAX = 200;

// Atomics.pause is newer than TypeScript's library.
const pause: () => void = (Atomics as { pause?: () => void }).pause ?? (() => {});

/**
 * From now on this thread's waits spin shorter: for tests, beside which other programs have the
 * cores, so that a spinner takes the one of whom it waits for.
 */
export function boundSpin(probes: number): void {
  spinProbesMax = probes;
}

/** Thrown on every rank when another one has failed; the failed one reports the cause itself. */
export class RankFailedError extends Error {
  override readonly name = "RankFailedError";
}

/** What a step asks of the ranks. */
export interface StepWords {
  kind: number;
  /** Of all segments together. */
  tokenCount: number;
  segmentCount: number;
  /** Sequences that are under way, in this step or in others. */
  activeCount: number;
  /**
   * [segmentCount, SEGMENT_WORDS], in the order of the step's rows; shared by all threads: the
   * leader writes them before it publishes the step, and no more until all have left it.
   */
  readonly segments: Int32Array;
  /** [tokenCount, POSITION_AXES], as the segments; of models whose ropes have axes. */
  readonly positions: Int32Array;
}

/** How many threads meet, and what for. */
export interface ControlOptions extends ControlSize {
  readonly rankCount: number;
  readonly leads: boolean;
  /** Threads that work while ranks do: those that read. Default 0. */
  readonly otherThreads?: number;
}

/** Ids of an answer that were guessed ahead, and those of them that were right. */
export interface DraftCounts {
  drafted: number;
  accepted: number;
}

/** One thread's hold on the control block. */
export class Control {
  readonly words: Int32Array;
  readonly #size: ControlOptions;
  /** Waits for a step, which may be of another request, and for a join end in different ways. */
  readonly #stepSpin: SpinBound;
  readonly #joinSpin: SpinBound;
  #stepSequence = 0;
  /** Joins reached so far, the same on all ranks; wraps around. */
  #joinCount = 0;
  /** Cancellations that the leader knows of: one more ends the step, unless it must not end. */
  #cancelsNoticed = 0;
  #mayAbort = true;

  constructor(buffer: SharedArrayBuffer, size: ControlOptions) {
    this.words = new Int32Array(buffer);
    this.#size = size;
    const threads = size.rankCount + (size.otherThreads ?? 0);
    const isCrowded = threads > navigator.hardwareConcurrency;
    const probes = Math.min(isCrowded ? CROWDED_SPIN_PROBES : SPIN_PROBES, spinProbesMax);
    this.#stepSpin = new SpinBound(probes);
    this.#joinSpin = new SpinBound(probes);
    // An odd number, which no even join has: join 0 comes again after 2^32 of them.
    if (size.leads) this.words[ABORT_AT_WORDS] = 1;
  }

  // --- the leader ------------------------------------------------------------------------------

  /** A step to be filled in: its segments and positions are those of the control block. */
  newStep(): StepWords {
    const { chunkTokens } = this.#size;
    const segments = this.words.subarray(SEGMENTS_WORD, idsWord(chunkTokens));
    const positions = this.words.subarray(positionsWord(chunkTokens), slotsWord(chunkTokens));
    return { kind: 0, tokenCount: 0, segmentCount: 0, activeCount: 1, segments, positions };
  }

  /**
   * Takes note of all cancellations so far: whoever leads looks at the slots after it, and a later
   * one ends the step that runs then.
   * @param mayAbort false: the next step runs to its end whatever happens.
   */
  noticeCancels(mayAbort = true): void {
    this.#cancelsNoticed = Atomics.load(this.words, CANCEL_WORD);
    this.#mayAbort = mayAbort;
  }

  /** Starts a step on all ranks. Its ids and segments are in the control block already. */
  publish(step: StepWords): void {
    const words = this.words;
    words[STEP_KIND_WORD] = step.kind;
    words[STEP_TOKEN_COUNT_WORD] = step.tokenCount;
    words[STEP_SEGMENT_COUNT_WORD] = step.segmentCount;
    words[STEP_ACTIVE_COUNT_WORD] = step.activeCount;
    this.#stepSequence = (Atomics.add(words, STEP_SEQUENCE_WORD, 1) + 1) | 0;
    if (Atomics.load(words, STEP_SLEEPERS_WORD) > 0) Atomics.notify(words, STEP_SEQUENCE_WORD);
  }

  /** Sends the ranks home; they leave their loops and close. */
  publishExit(): void {
    this.publish({ ...this.newStep(), kind: STEP_KIND_EXIT });
  }

  // --- all ranks -------------------------------------------------------------------------------

  /** Waits for the next step and copies its words into `step`. */
  awaitStep(step: StepWords): void {
    const words = this.words;
    const seen = this.#stepSequence;
    this.#waitWhile(STEP_SEQUENCE_WORD, seen, STEP_SLEEPERS_WORD, this.#stepSpin);
    this.#stepSequence = Atomics.load(words, STEP_SEQUENCE_WORD);
    step.kind = words[STEP_KIND_WORD];
    step.tokenCount = words[STEP_TOKEN_COUNT_WORD];
    step.segmentCount = words[STEP_SEGMENT_COUNT_WORD];
    step.activeCount = words[STEP_ACTIVE_COUNT_WORD];
  }

  /**
   * Waits until every rank is here. What ranks wrote before is visible to all after.
   *
   * Before it arrives, the leader looks whether a request was cancelled, and then names this join
   * as the last one. Naming a join, not "now", makes all ranks leave at the same place.
   * @returns false when the step ends here.
   * @throws {RankFailedError} when a rank has failed.
   */
  join(): boolean {
    const words = this.words;
    this.#joinCount = (this.#joinCount + 1) | 0;
    const abortWord = ABORT_AT_WORDS + (this.#joinCount & 1);
    const { leads, rankCount } = this.#size;
    if (leads) {
      // One thread writes it, and who reads it is in no hurry.
      words[HEARTBEAT_WORD]++;
      if (this.#mayAbort && Atomics.load(words, CANCEL_WORD) !== this.#cancelsNoticed) {
        Atomics.store(words, abortWord, this.#joinCount);
      }
    }
    if (rankCount > 1) {
      const generation = Atomics.load(words, BARRIER_GENERATION_WORD);
      if (Atomics.add(words, BARRIER_ARRIVED_WORD, 1) === rankCount - 1) {
        Atomics.store(words, BARRIER_ARRIVED_WORD, 0);
        Atomics.add(words, BARRIER_GENERATION_WORD, 1);
        if (Atomics.load(words, BARRIER_SLEEPERS_WORD) > 0) {
          Atomics.notify(words, BARRIER_GENERATION_WORD);
        }
      } else {
        const spin = this.#joinSpin;
        this.#waitWhile(BARRIER_GENERATION_WORD, generation, BARRIER_SLEEPERS_WORD, spin);
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

  /** Somebody has got further with something long that has no joins. */
  beat(): void {
    Atomics.add(this.words, HEARTBEAT_WORD, 1);
  }

  /** Changes whenever ranks have got a join further, or one of them with what has none. */
  get heartbeat(): number {
    return Atomics.load(this.words, HEARTBEAT_WORD);
  }

  /** Room for keys and values that sequences have, in tokens; the leader's word. */
  get kvTokens(): number {
    return Atomics.load(this.words, KV_TOKENS_WORD);
  }

  set kvTokens(tokens: number) {
    Atomics.store(this.words, KV_TOKENS_WORD, tokens);
  }

  /** Index of the rank that failed first, or -1. */
  failedRank(): number {
    return Atomics.load(this.words, FAILED_WORD) - 1;
  }

  /** Ids of the current step, [chunkTokens]. */
  stepIds(): Int32Array {
    const { chunkTokens } = this.#size;
    return this.words.subarray(idsWord(chunkTokens), positionsWord(chunkTokens));
  }

  // --- requests --------------------------------------------------------------------------------

  /** Says that a message to the engine's thread is about to be posted. */
  announceMessage(): void {
    Atomics.add(this.words, MESSAGE_WORD, 1);
  }

  /** How many were so far. */
  get messageCount(): number {
    return Atomics.load(this.words, MESSAGE_WORD);
  }

  /** A request gets the slot: nothing of the one before is left. */
  openSlot(slot: number): void {
    Atomics.store(this.words, this.#slotWord(slot) + SLOT_CANCELLED, 0);
    Atomics.store(this.words, this.#slotWord(slot) + SLOT_OUTPUT_COUNT, 0);
    this.setDrafts(slot, { drafted: 0, accepted: 0 });
  }

  /** Tells the slot's request to stop. */
  cancel(slot: number): void {
    Atomics.store(this.words, this.#slotWord(slot) + SLOT_CANCELLED, 1);
    Atomics.add(this.words, CANCEL_WORD, 1);
  }

  isCancelled(slot: number): boolean {
    return Atomics.load(this.words, this.#slotWord(slot) + SLOT_CANCELLED) !== 0;
  }

  /** Ids of the slot's answer so far, [contextLength]. */
  outputIds(slot: number): Int32Array {
    const start = this.#slotWord(slot) + SLOT_HEAD_WORDS;
    return this.words.subarray(start, start + this.#size.contextLength);
  }

  /** Says how many ids of the slot's answer were guessed ahead, and how many of them rightly. */
  setDrafts(slot: number, { drafted, accepted }: DraftCounts): void {
    Atomics.store(this.words, this.#slotWord(slot) + SLOT_DRAFTED, drafted);
    Atomics.store(this.words, this.#slotWord(slot) + SLOT_ACCEPTED, accepted);
  }

  /** Puts into `counts` what `setDrafts` has said. */
  readDrafts(slot: number, counts: DraftCounts): void {
    counts.drafted = Atomics.load(this.words, this.#slotWord(slot) + SLOT_DRAFTED);
    counts.accepted = Atomics.load(this.words, this.#slotWord(slot) + SLOT_ACCEPTED);
  }

  outputCount(slot: number): number {
    return Atomics.load(this.words, this.#slotWord(slot) + SLOT_OUTPUT_COUNT);
  }

  /** `announceOutput` tells whoever follows it. */
  setOutputCount(slot: number, count: number): void {
    Atomics.store(this.words, this.#slotWord(slot) + SLOT_OUTPUT_COUNT, count);
  }

  get outputVersion(): number {
    return Atomics.load(this.words, OUTPUT_VERSION_WORD);
  }

  /** Wakes whoever follows an output. */
  announceOutput(): void {
    Atomics.add(this.words, OUTPUT_VERSION_WORD, 1);
    Atomics.notify(this.words, OUTPUT_VERSION_WORD);
  }

  /** Settles when an output has changed since `version`; does not block the thread. */
  outputChanged(version: number): Promise<unknown> {
    const wait = Atomics.waitAsync(this.words, OUTPUT_VERSION_WORD, version);
    return wait.async ? wait.value : Promise.resolve();
  }

  #slotWord(slot: number): number {
    const { chunkTokens, contextLength } = this.#size;
    return slotsWord(chunkTokens) +
      slot * (SLOT_HEAD_WORDS + contextLength);
  }

  #waitWhile(word: number, value: number, sleepersWord: number, spin: SpinBound): void {
    const words = this.words;
    const { probes } = spin;
    for (let probe = 0; probe < probes; probe++) {
      if (Atomics.load(words, word) !== value) {
        if (probe > SHORT_PROBES) spin.paid();
        return;
      }
      pause();
    }
    spin.vain();
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
