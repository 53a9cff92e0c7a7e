/** A request that the engine works at: its ids so far, and how far they are computed. */
import type { FinishReason, Timings } from "../llm/types.ts";
import type { Chooser } from "./chooser.ts";
import { type GivenSpan, givenSpans, sourceSpan, wholeFrom } from "./given_spans.ts";
import { givenWidth } from "../model/given_width.ts";
import type { ModelConfig } from "../model/types.ts";
import type { Schedulable } from "./scheduler.ts";
import type { TokenTimes } from "./token_times.ts";
import type { EngineRequest, EngineResult, GivenRows } from "./types.ts";
import { mixOf } from "./worn_adapters.ts";

/** What a slot keeps for the requests that have it, one after another. */
export interface SequenceRoom {
  readonly slot: number;
  /** [contextLength]: prompt and answer; and of the answer, where the main thread reads it. */
  readonly ids: Int32Array;
  readonly outputIds: Int32Array;
  readonly tokenMs: TokenTimes;
}

/** How a request ends. */
export interface SequenceEnd {
  done(result: EngineResult): void;
  failed(error: unknown): void;
}

/** Ids that the answer to a request has room for. */
export function answerTokensMax(
  { ids, maxTokens }: EngineRequest,
  room: Pick<SequenceRoom, "ids">,
): number {
  return Math.min(maxTokens, room.ids.length - ids.length);
}

export class Sequence implements Schedulable {
  readonly slot: number;
  readonly tokenMs: TokenTimes;
  readonly ids: Int32Array;
  /** Where its prompt has rows that were given with it. */
  readonly spans: readonly GivenSpan[];
  readonly given: readonly GivenRows[];
  readonly adapters: readonly number[];
  /** The same in a word. */
  readonly mix: string;
  readonly chooser: Chooser;
  readonly priority: number;
  readonly promptTokens: number;
  readonly maxTokens: number;
  /** The same request is promised the same ids: greedy, or with a seed. */
  readonly isRepeatable: boolean;
  readonly end: SequenceEnd;
  known: number;
  computed = 0;
  /** Prompt ids that were in the cache already. */
  reused = 0;
  /** Ids of the answer that were guessed, and those of them that it took. */
  readonly drafts = { drafted: 0, accepted: 0 };
  /** All keys and values so far are those of a cold prompt, to the bit. */
  isExact = true;
  readonly #room: SequenceRoom;
  readonly #endIds: ReadonlySet<number>;
  #startMs = 0;
  #promptDoneMs = 0;
  /** What was counted when the prompt was done. */
  #countedBefore: readonly number[] = [];

  /**
   * The prompt fits: checked at the door. Of a model that answers a source it is that, and the id
   * that its answer begins with.
   * @throws {RequestError} 400 where an id below 0 is none of a row's.
   */
  constructor(
    request: EngineRequest,
    of: {
      room: SequenceRoom;
      chooser: Chooser;
      end: SequenceEnd;
      config: Parameters<typeof givenWidth>[0] & Pick<ModelConfig, "source">;
    },
  ) {
    const { ids, sampling, endIds, priority = 0, given = [], adapters = [] } = request;
    const { room, chooser, config } = of;
    const answersSource = config.source !== undefined;
    this.given = given;
    this.adapters = adapters;
    this.mix = mixOf(adapters);
    this.spans = answersSource ? [sourceSpan(ids)] : givenSpans(ids, given, givenWidth(config));
    this.#room = room;
    this.slot = room.slot;
    this.tokenMs = room.tokenMs;
    this.ids = room.ids;
    this.chooser = chooser;
    this.end = of.end;
    this.priority = priority;
    this.promptTokens = this.known = ids.length;
    this.maxTokens = answerTokensMax(request, room);
    this.isRepeatable = sampling.seed !== undefined || sampling.temperature === 0;
    this.#endIds = new Set(endIds);
    room.ids.set(ids);
    const unsaid = answersSource ? ids.length - 1 : 0;
    chooser.skip(unsaid);
    for (let i = unsaid; i < ids.length; i++) chooser.accept(ids[i]);
  }

  get isGenerating(): boolean {
    return this.computed >= this.promptTokens;
  }

  get wholeRows(): number {
    const whole = wholeFrom(this.computed, this.spans);
    return whole !== null && whole.start === this.computed ? whole.end - whole.start : 0;
  }

  get freeRows(): number {
    const whole = wholeFrom(this.computed, this.spans);
    return (whole === null ? this.known : whole.start) - this.computed;
  }

  /** So many first ids may be computed without those behind them. */
  readonly mayEndAt = (ids: number): boolean => {
    const whole = wholeFrom(ids, this.spans);
    return whole === null || whole.start >= ids;
  };

  /** Ids of the answer so far. */
  get answered(): number {
    return this.known - this.promptTokens;
  }

  /** It has room in the cache, and the keys and values of `reused` ids. */
  start(reused: number): void {
    this.reused = this.computed = reused;
    this.#startMs = performance.now();
  }

  /** Its first logits are there. counted: what all ranks have counted so far. */
  finishPrompt(counted: readonly number[]): void {
    this.#promptDoneMs = performance.now();
    this.tokenMs.restart(this.#promptDoneMs);
    this.#countedBefore = counted;
  }

  /** Takes an id into the answer; returns why it ends with it, or null. */
  accept(id: number): FinishReason | null {
    if (this.answered > 0) this.tokenMs.add(performance.now());
    if (this.#endIds.has(id)) return "stop";
    this.chooser.accept(id);
    this.#room.outputIds[this.answered] = id;
    this.ids[this.known++] = id;
    if (this.chooser.isFinished) return "stop";
    if (this.answered < this.maxTokens) return null;
    // Who asked for a sentence of a grammar has it, though it might have gone on.
    return this.chooser.isSentence ? "stop" : "length";
  }

  /** counted: since the prompt was done, of what ranks counted. */
  result(
    finishReason: FinishReason,
    countedSince: (before: readonly number[]) => Partial<Timings>,
  ): EngineResult {
    const nowMs = performance.now();
    const started = this.#startMs > 0;
    const isPromptDone = this.#promptDoneMs > 0;
    return {
      finishReason,
      timings: {
        promptTokens: this.promptTokens,
        cachedTokens: this.reused,
        promptMs: started ? (isPromptDone ? this.#promptDoneMs : nowMs) - this.#startMs : 0,
        predictedTokens: this.answered,
        ...this.drafts.drafted > 0
          ? { draftedTokens: this.drafts.drafted, acceptedTokens: this.drafts.accepted }
          : {},
        predictedMs: isPromptDone ? nowMs - this.#promptDoneMs : 0,
        ...isPromptDone
          ? { ...countedSince(this.#countedBefore), tokenMs: this.tokenMs.percentiles() }
          : {},
      },
    };
  }
}

/** For fewer tokens nobody waits a step: with a template all prompts begin alike. */
const AWAITED_MIN = 16;

/**
 * Tokens of `sequence`, but its last one, with which the prompt of `other` begins, too, as many as
 * can be used again: a multiple of `unit`. 0: too few of them are still to be computed.
 */
export function awaitedTokens(sequence: Sequence, other: Sequence, unit: number): number {
  if (other.isGenerating || sequence.mix !== other.mix) return 0;
  // Who comes later by priority may be computed in few steps only.
  if (other.priority < sequence.priority) return 0;
  const most = Math.min(sequence.promptTokens - 1, other.promptTokens);
  let shared = 0;
  while (shared < most && sequence.ids[shared] === other.ids[shared]) shared++;
  shared -= shared % unit;
  return shared - other.computed < AWAITED_MIN / unit ? 0 : shared;
}
