/**
 * The leader of the ranks, and one of them. Turns a prompt's ids into an answer's ids,
 * one sequence at a time. Knows nothing of text, and blocks its thread while it works.
 */
import { check } from "../base/check.ts";
import type { StepWords } from "../memory/control.ts";
import { STEP_KIND_FORWARD, STEP_KIND_READ, STEP_KIND_REHEARSE } from "../memory/control_layout.ts";
import { SharedText } from "../memory/shared_text.ts";
import type { FinishReason, SamplingOptions, Timings } from "../llm/types.ts";
import type { RankRunner } from "../rank/open_rank.ts";
import {
  ASKED_AHEAD,
  CACHE_HITS,
  CACHE_MISSES,
  COUNT_FIELDS,
  countsView,
  DISK_BYTES,
  DISK_READS,
  DISK_WAIT_MS,
  NEEDED_AHEAD,
  SKIPPED_BYTES,
  SKIPPED_NEURONS,
} from "../rank/counts.ts";
import { lengthOf } from "../rank/shard.ts";
import { negativeLogProbability } from "./log_probability.ts";
import { Chooser, ChoosingTools } from "./chooser.ts";
import { choosePredictors } from "./predictor_choice.ts";
import { Rehearsal } from "./rehearsal.ts";
import { ScoreBoard } from "./score_board.ts";
import { type Pooling, TextPooler } from "./text_pooler.ts";
import { TokenTimes } from "./token_times.ts";
import type { EngineRequest, EngineResult, PredictorChoice, PredictorPolicy } from "./types.ts";

export class Leader {
  readonly #runner: RankRunner;
  readonly #step: StepWords = { kind: 0, tokenCount: 0, position: 0, logitsCount: 0 };
  readonly #stepIds: Int32Array;
  readonly #outputIds: Int32Array;
  /** Logits of each position that a step can have some of, [vocab], in this rank's arena. */
  readonly #rows: readonly Float32Array[];
  /** The other ranks' parts of these rows, [logitsRows][rank - 1]. */
  readonly #parts: readonly (readonly Float32Array[])[];
  /** The first row: where the sampler looks. */
  readonly #board: ScoreBoard;
  readonly #tools: ChoosingTools;
  /** What every rank has counted so far. */
  readonly #counts: readonly Float64Array[];
  /** Ids whose keys and values are in the cache, from position 0 on. */
  readonly #cachedIds: Int32Array;
  readonly #tokenMs: TokenTimes;
  /** Why a step of a packed model is void: a read that failed. Null: it is no packed one. */
  readonly #readFailure: SharedText | null;
  #cachedCount = 0;
  /** How many of them were computed in whole chunks from position 0 on, as a cold prompt would. */
  #chunkedCount = 0;

  constructor(runner: RankRunner) {
    const { plans, memories, config } = runner.setup;
    this.#runner = runner;
    this.#stepIds = runner.control.stepIds();
    this.#outputIds = runner.control.outputIds();
    const [{ outputArena, workspaces, logitsRows, shard }] = plans;
    check(shard.vocab.start === 0, "the others' logits are put behind the leader's");
    const rowOf = (rank: number, row: number, length: number) => {
      const { strides, workspaces } = plans[rank];
      const at = workspaces[outputArena].logits + row * strides.logits * 4;
      return new Float32Array(memories[rank][outputArena].buffer, at, length);
    };
    const { vocabSize } = config;
    this.#rows = Array.from({ length: logitsRows }, (_, row) => rowOf(0, row, vocabSize));
    this.#parts = this.#rows.map((_, row) =>
      plans.slice(1).map(({ rankIndex, shard }) => rowOf(rankIndex, row, lengthOf(shard.vocab)))
    );
    this.#board = new ScoreBoard({
      kernels: runner.kernels[outputArena],
      memory: memories[0][outputArena],
      vocabSize,
      scoresAt: workspaces[outputArena].logits,
      idsAt: workspaces[outputArena].candidates,
    });
    this.#tools = new ChoosingTools(this.#board);
    this.#counts = plans.map((plan, rank) => countsView(plan, memories[rank][0]));
    this.#cachedIds = new Int32Array(runner.plan.contextLength);
    this.#tokenMs = new TokenTimes(runner.plan.contextLength);
    const { streams } = runner.setup;
    this.#readFailure = streams && new SharedText(streams.failure);
  }

  /**
   * Answers a prompt. New ids appear in the control block's output as they are chosen; a cancelled
   * request ends within a join.
   * @throws {Error} when no logit is a number; the next request is answered all the same.
   */
  generate(request: EngineRequest): EngineResult {
    const { control } = this.#runner;
    const { contextLength } = this.#runner.plan;
    const { ids } = request;
    check(ids.length > 0 && ids.length < contextLength, "the prompt was checked to fit");
    const chooser = new Chooser(request, this.#tools);
    for (const id of ids) chooser.accept(id);
    const ends = new Set(request.endIds);
    const maxTokens = Math.min(request.maxTokens, contextLength - ids.length);

    const startMs = performance.now();
    const reused = this.#reusePrefix(ids, isRepeatable(request.sampling));
    let finished: FinishReason | null = this.#prefill(ids, reused) ? null : "cancelled";
    const promptDoneMs = performance.now();
    const before = this.#countAll();
    this.#tokenMs.restart(promptDoneMs);

    let count = 0;
    while (finished === null) {
      if (chooser.isFinished) finished = "stop";
      else if (count === maxTokens) finished = "length";
      else {
        const id = chooser.sample();
        if (Number.isNaN(this.#board.scores[id])) throw noLogits(ids.length + count);
        if (ends.has(id)) finished = "stop";
        else {
          chooser.accept(id);
          this.#outputIds[count++] = id;
          control.outputCount = count;
          // The last id needs no logits after it.
          const isLast = count === maxTokens || chooser.isFinished;
          if (!isLast && !this.#decode(id)) finished = "cancelled";
          this.#tokenMs.add(performance.now());
        }
      }
    }
    return {
      finishReason: finished,
      timings: {
        promptTokens: ids.length,
        cachedTokens: reused,
        promptMs: promptDoneMs - startMs,
        predictedTokens: count,
        predictedMs: performance.now() - promptDoneMs,
        ...this.#countedSince(before),
        tokenMs: this.#tokenMs.percentiles(),
      },
    };
  }

  /**
   * Logits of every position of `ids`, a few rows at a time.
   * @param onRows gets [rows, vocab] of positions firstPosition ..; the array is the callee's.
   * @param stepTokens of a step, at most.
   * @returns false when it was cancelled before the last position.
   */
  scoreAll(
    ids: readonly number[],
    onRows: (rows: Float32Array<ArrayBuffer>, firstPosition: number) => void,
    stepTokens = Infinity,
  ): boolean {
    const logitsRows = Math.min(stepTokens, this.#runner.plan.logitsRows);
    const { vocabSize } = this.#board;
    this.#forget();
    for (let position = 0; position < ids.length; position += logitsRows) {
      const n = Math.min(logitsRows, ids.length - position);
      if (!this.#forward(ids, { position, n, logitsCount: n })) return false;
      const rows = new Float32Array(n * vocabSize);
      for (let t = 0; t < n; t++) rows.set(this.#gatherRow(t), t * vocabSize);
      onRows(rows, position);
    }
    return true;
  }

  /**
   * How surprised the model is by the ids from index `from` (at least 1) on, each after all before
   * it: the sum of −log p, in nats. Logits stay on this thread.
   * @returns null when it was cancelled before the last one.
   */
  negativeLogLikelihood(ids: readonly number[], from: number): number | null {
    const { logitsRows, chunkTokens } = this.#runner.plan;
    this.#forget();
    let sum = 0;
    // Nothing follows the last id.
    for (let position = 0, n = 0; position < ids.length - 1; position += n) {
      const isContextOnly = position + chunkTokens < from;
      n = Math.min(isContextOnly ? chunkTokens : logitsRows, ids.length - 1 - position);
      const end = position + n;
      const logitsCount = Math.max(0, Math.min(n, end + 1 - from));
      if (!this.#forward(ids, { position, n, logitsCount })) return null;
      for (let t = 0; t < logitsCount; t++) {
        sum += negativeLogProbability(this.#gatherRow(t), ids[end + 1 - logitsCount + t]);
      }
    }
    return sum;
  }

  /**
   * The vector of a text: see TextPooler.
   * @returns null when it was cancelled before its last token.
   * @throws {Error} where the GPU has the whole model.
   */
  embed(ids: readonly number[], pooling: Pooling): Float32Array | null {
    const { plan: { chunkTokens }, setup: { config } } = this.#runner;
    const pooler = new TextPooler(pooling, config.embeddingLength);
    this.#forget();
    for (let position = 0; position < ids.length; position += chunkTokens) {
      const n = Math.min(chunkTokens, ids.length - position);
      if (!this.#forward(ids, { position, n, logitsCount: 0 })) return null;
      pooler.add(this.#runner.finalRows(), n);
    }
    return pooler.result();
  }

  /**
   * Runs some ids of a text, at most `tokens` of the observation's plan, behind the ids before
   * them: what the ranks show of them lies in the observation after it.
   * @returns false when it was cancelled.
   */
  observe(ids: readonly number[], position: number): boolean {
    const { observation, config } = this.#runner.setup;
    check(observation !== null && ids.length <= observation.plan.tokens, "a step that is observed");
    check(position === 0 || position === this.#cachedCount, "a text is observed in its order");
    this.#chunkedCount = 0;
    // Experts that a token did not choose write nothing.
    if (config.experts !== null) new Uint8Array(observation.buffer).fill(0);
    ids.forEach((id, t) => this.#stepIds[t] = this.#cachedIds[position + t] = id);
    const step = { kind: STEP_KIND_FORWARD, tokenCount: ids.length, position, logitsCount: 0 };
    if (!this.#runStep(step)) return false;
    this.#cachedCount = position + ids.length;
    return true;
  }

  /** Nothing that is in the cache is used again. */
  #forget(): void {
    this.#cachedCount = 0;
    this.#chunkedCount = 0;
  }

  /** Sums over all ranks, [COUNT_FIELDS]. */
  #countAll(): number[] {
    return Array.from(
      { length: COUNT_FIELDS },
      (_, place) => this.#counts.reduce((sum, counts) => sum + counts[place], 0),
    );
  }

  #countedSince(before: readonly number[]): Partial<Timings> {
    const counted = this.#countAll().map((sum, place) => sum - before[place]);
    const streamed = {
      hits: counted[CACHE_HITS],
      misses: counted[CACHE_MISSES],
      diskReads: counted[DISK_READS],
      diskBytes: counted[DISK_BYTES],
      diskWaitMs: counted[DISK_WAIT_MS],
      askedAhead: counted[ASKED_AHEAD],
      neededAhead: counted[NEEDED_AHEAD],
    };
    return {
      skippedNeurons: counted[SKIPPED_NEURONS],
      skippedBytes: counted[SKIPPED_BYTES],
      ...this.#readFailure === null ? {} : { streamed },
    };
  }

  /**
   * Compares the predictors with the neurons that fire in a text, and decides which of them are
   * used from now on. Without a rehearsal none is.
   * @returns the choices, layer by layer; null when it was cancelled: then none is used.
   */
  rehearse(ids: readonly number[], policy: PredictorPolicy): PredictorChoice[] | null {
    const { plans, memories, config: { experts } } = this.#runner.setup;
    const rehearsal = new Rehearsal(plans, memories, experts?.usedCount ?? 1);
    rehearsal.clear();
    const { chunkTokens } = this.#runner.plan;
    for (let position = 0; position < ids.length; position += chunkTokens) {
      const n = Math.min(chunkTokens, ids.length - position);
      const chunk = { position, n, logitsCount: 0, kind: STEP_KIND_REHEARSE };
      if (!this.#forward(ids, chunk)) return null;
    }
    this.#forget();
    const choices = choosePredictors(rehearsal.results(ids.length), policy);
    rehearsal.decide(choices);
    return choices;
  }

  /** Rate at which all ranks together read their weights, GB/s: the best of three passes. */
  readSpeedGbps(): number {
    const { plans } = this.#runner.setup;
    const regions = plans.flatMap((plan) => plan.arenas.flatMap((arena) => arena.regions));
    const bytes = regions.filter((region) => region.kind === "weights")
      .reduce((sum, region) => sum + region.sizeBytes, 0);
    let best = 0;
    for (let pass = 0; pass < 3; pass++) {
      const startMs = performance.now();
      this.#runStep({ kind: STEP_KIND_READ, tokenCount: 0, position: 0, logitsCount: 0 });
      best = Math.max(best, bytes / (performance.now() - startMs) / 1e6);
    }
    return best;
  }

  /**
   * How many leading ids are in the cache already; at least the last one is left to compute.
   *
   * A kernel may round a sum differently for one token than for a chunk. Where the same ids are
   * promised, only what a cold prompt would compute in the same way is used again: whole chunks.
   */
  #reusePrefix(ids: readonly number[], isRepeatable: boolean): number {
    const { chunkTokens } = this.#runner.plan;
    const wholeChunks = (count: number) => count - count % chunkTokens;
    const most = Math.min(this.#cachedCount, ids.length - 1);
    let reused = 0;
    while (reused < most && this.#cachedIds[reused] === ids[reused]) reused++;
    this.#chunkedCount = Math.min(this.#chunkedCount, wholeChunks(reused));
    this.#cachedCount = isRepeatable ? this.#chunkedCount : reused;
    return this.#cachedCount;
  }

  /** Runs the prompt from `start` on, chunk by chunk; leaves the last position's logits. */
  #prefill(ids: readonly number[], start: number): boolean {
    const { chunkTokens } = this.#runner.plan;
    for (let position = start; position < ids.length; position += chunkTokens) {
      const n = Math.min(chunkTokens, ids.length - position);
      const logitsCount = position + n === ids.length ? 1 : 0;
      if (!this.#forward(ids, { position, n, logitsCount })) return false;
      if (position === this.#chunkedCount && n === chunkTokens) this.#chunkedCount += n;
    }
    this.#gatherRow(0);
    return true;
  }

  /** Runs one new id; leaves its logits. Allocates nothing. */
  #decode(id: number): boolean {
    const step = this.#step;
    step.kind = STEP_KIND_FORWARD;
    step.tokenCount = 1;
    step.position = this.#cachedCount;
    step.logitsCount = 1;
    this.#stepIds[0] = id;
    if (!this.#runStep(step)) return false;
    this.#cachedIds[this.#cachedCount++] = id;
    this.#gatherRow(0);
    return true;
  }

  #forward(
    ids: readonly number[],
    chunk: { position: number; n: number; logitsCount: number; kind?: number },
  ): boolean {
    const { position, n, logitsCount, kind = STEP_KIND_FORWARD } = chunk;
    for (let t = 0; t < n; t++) {
      this.#stepIds[t] = ids[position + t];
      this.#cachedIds[position + t] = ids[position + t];
    }
    if (!this.#runStep({ kind, tokenCount: n, position, logitsCount })) return false;
    this.#cachedCount = position + n;
    return true;
  }

  #runStep(step: StepWords): boolean {
    this.#runner.control.publish(step);
    let isComplete: boolean;
    try {
      isComplete = this.#runner.runStep(step);
    } catch (error) {
      // The others wait at a join that will never come.
      this.#runner.control.fail(0);
      throw error;
    }
    // Every rank has finished the step: what it left in the cache is behind the counted positions.
    const failure = this.#readFailure?.take() ?? "";
    if (failure !== "") throw new Error(failure);
    return isComplete;
  }

  /** Logits of a step's row, [vocab]: this rank's own, and the others' put behind them. */
  #gatherRow(row: number): Float32Array {
    const { plans } = this.#runner.setup;
    const logits = this.#rows[row];
    const parts = this.#parts[row];
    for (let i = 0; i < parts.length; i++) logits.set(parts[i], plans[i + 1].shard.vocab.start);
    return logits;
  }
}

function noLogits(position: number): Error {
  return new Error(
    `Cannot choose token ${position}: its logits are not numbers: weights of the model are NaN, ` +
      `infinite or far too large: download the file again, or take another one`,
  );
}

/** True when the same request is promised the same ids: greedy, or with a seed. */
function isRepeatable(sampling: SamplingOptions): boolean {
  return sampling.seed !== undefined || sampling.temperature === 0;
}
