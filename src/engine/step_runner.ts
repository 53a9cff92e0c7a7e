/**
 * One step of all ranks, as whoever leads them fills it in, runs it and reads its logits. Knows
 * neither requests nor what a step is for.
 */
import { check } from "../base/check.ts";
import { readError } from "../base/errors.ts";
import type { StepWords } from "../memory/control.ts";
import type { ModelConfig } from "../model/types.ts";
import {
  POSITION_AXES,
  SEGMENT_LOGITS,
  SEGMENT_POSITION,
  SEGMENT_ROWS,
  SEGMENT_SEES_ALL,
  SEGMENT_SLOT,
  SEGMENT_SOURCE,
  SEGMENT_STATE_FROM,
  SEGMENT_STATE_TO,
  SEGMENT_WORDS,
} from "../memory/control_layout.ts";
import { SharedText } from "../memory/shared_text.ts";
import { tableBlocks } from "../rank/plan/kv_bytes.ts";
import type { TokenChain } from "../rank/gpu/token_chain.ts";
import type { RankRunner } from "../rank/open_rank.ts";
import type { RankPlan } from "../rank/plan/plan_types.ts";
import { lengthOf } from "../rank/plan/shard.ts";
import { type GivenSpan, positionOn, wholeFrom } from "./given_spans.ts";
import { copyBlock, type KvPiece, piecesOf } from "./kv_pieces.ts";
import { ScoreBoard } from "./score_board.ts";

/** Places of a sequence's states before a segment, -1: it has none, and behind it. */
export interface SegmentStates {
  readonly from: number;
  readonly to: number;
}

/** A sequence of which rows go into a step. */
export interface StepText {
  readonly slot: number;
  readonly ids: ArrayLike<number>;
  /** Where rows were given in place of embeddings. */
  readonly spans: readonly GivenSpan[];
}

const NO_SPANS: readonly GivenSpan[] = [];
const NO_STATES: SegmentStates = { from: -1, to: 0 };

export class StepRunner {
  readonly runner: RankRunner;
  /** Steps of a model that guesses in the same blocks; null: there are none. */
  beside: StepRunner | null = null;
  /** Where samplers look: the logits that `takeRow` or `gatherRow(0)` put there. */
  readonly board: ScoreBoard;
  /** Several tokens a wait; null: steps are one. */
  readonly chain: TokenChain | null;
  /** Ids of the step's rows, [chunkTokens]. */
  readonly ids: Int32Array;
  /**
   * Where they stand, [chunkTokens, POSITION_AXES]: as they follow one another, unless somebody
   * writes otherwise behind `add`. Null: the model's ropes have no axes.
   */
  readonly positions: Int32Array | null;
  readonly #step: StepWords;
  /** Logits of each row that a step can have some of, [vocab], in this rank's arena; */
  readonly #rows: readonly Float32Array[];
  /** the part of them that this rank computes; */
  readonly #own: readonly Float32Array[];
  /** the other ranks' parts, [logitsRows][rank - 1]. */
  readonly #parts: readonly (readonly Float32Array[])[];
  /** Tables of blocks in all ranks' arenas, [sequences, tableBlocks] each. */
  readonly #tables: readonly Uint32Array[];
  readonly #tableBlocks: number;
  /** Of a block, once one was copied. */
  #pieces: readonly KvPiece[] | null = null;
  /** Tokens that are never said. */
  readonly #silenced: NonNullable<ModelConfig["silencedTokens"]>;
  /** Why a step of a packed model is void: a read that failed. Null: it is no packed one. */
  readonly #readFailure: SharedText | null;

  constructor(runner: RankRunner) {
    const { plans, memories, config, streams } = runner.setup;
    this.runner = runner;
    this.chain = runner.chain;
    this.ids = runner.control.stepIds();
    this.#step = runner.control.newStep();
    this.positions = config.ropes.some(({ axes }) => axes !== undefined)
      ? this.#step.positions
      : null;
    const [{ outputArena, workspaces, logitsRows, shard }] = plans;
    check(shard.vocab.start === 0, "the others' logits are put behind the leader's");
    const rowOf = (rank: number, row: number, length: number) => {
      const { strides, workspaces } = plans[rank];
      const at = workspaces[outputArena].logits + row * strides.logits * 4;
      return new Float32Array(memories[rank][outputArena].buffer, at, length);
    };
    const { vocabSize, silencedTokens } = config;
    this.#silenced = silencedTokens ?? [];
    this.#rows = Array.from({ length: logitsRows }, (_, row) => rowOf(0, row, vocabSize));
    this.#own = this.#rows.map((logits) => logits.subarray(0, lengthOf(shard.vocab)));
    this.#parts = this.#rows.map((_, row) =>
      plans.slice(1).map(({ rankIndex, shard }) => rowOf(rankIndex, row, lengthOf(shard.vocab)))
    );
    this.board = new ScoreBoard({
      kernels: runner.kernels[outputArena],
      memory: memories[0][outputArena],
      vocabSize,
      scoresAt: workspaces[outputArena].logits,
      idsAt: workspaces[outputArena].candidates,
    });
    this.#tableBlocks = tableBlocks(runner.plan.contextLength);
    this.#tables = plans.flatMap((plan, rank) => tablesOf(plan, memories[rank]));
    this.#readFailure = streams && new SharedText(streams.failure);
  }

  /** Begins to fill in a step, while so many sequences are under way. */
  begin(kind: number, activeCount = 1): void {
    this.#step.kind = kind;
    this.#step.activeCount = activeCount;
    this.#step.tokenCount = this.#step.segmentCount = 0;
  }

  /** Adds rows of a sequence: those whose ids are `ids[from .. from + rows)`. */
  add(
    { slot, ids, spans }: StepText,
    from: number,
    rows: number,
    logits: number,
    states: SegmentStates = NO_STATES,
  ): void {
    const first = this.#step.tokenCount;
    for (let t = 0; t < rows; t++) this.ids[first + t] = ids[from + t];
    const end = from + rows;
    for (let at = from, next = end; at < end; at = next) {
      const whole = wholeFrom(at, spans);
      const isInWhole = whole !== null && whole.start <= at;
      next = Math.min(end, whole === null ? end : isInWhole ? whole.end : whole.start);
      check(!isInWhole || whole.start === at && whole.end <= end, "rows that see each other");
      const wanted = Math.min(next - at, Math.max(0, logits - (end - next)));
      this.addAt(slot, at, next - at, wanted, states);
      if (isInWhole) this.#seeAll(states);
      if (spans[0]?.isSource) this.#setLast(SEGMENT_SOURCE, spans[0].end);
    }
    if (this.positions !== null && spans.length > 0) this.#stand(this.positions, from, rows, spans);
  }

  /** The same at another position than the ids' own; the caller puts them into `ids`. */
  addAt(
    slot: number,
    position: number,
    rows: number,
    logits: number,
    { from, to }: SegmentStates = NO_STATES,
  ): void {
    const { segments, segmentCount } = this.#step;
    const at = segmentCount * SEGMENT_WORDS;
    segments[at + SEGMENT_SLOT] = slot;
    segments[at + SEGMENT_POSITION] = position;
    segments[at + SEGMENT_ROWS] = rows;
    segments[at + SEGMENT_LOGITS] = logits;
    segments[at + SEGMENT_STATE_FROM] = from;
    segments[at + SEGMENT_STATE_TO] = to;
    segments[at + SEGMENT_SEES_ALL] = segments[at + SEGMENT_SOURCE] = 0;
    this.#step.segmentCount++;
    this.#step.tokenCount += rows;
    if (this.positions !== null) this.#stand(this.positions, position, rows, NO_SPANS);
  }

  /**
   * Adds a whole text of a model that fills in, whose rows see all of it; logits are wanted of rows
   * `from` to `to` - 1.
   */
  addWhole(slot: number, ids: ArrayLike<number>, from: number, to: number): void {
    const { length } = ids, first = this.#step.tokenCount;
    for (let t = 0; t < length; t++) this.ids[first + t] = ids[t];
    for (let at = 0, end = to; at < length; at = end, end = length) {
      this.addAt(slot, at, end - at, at === 0 ? to - from : 0);
      this.#setLast(SEGMENT_SOURCE, length);
    }
  }

  /** The last segment's rows attend to each other both ways. */
  #seeAll(states: SegmentStates): void {
    check(states === NO_STATES, "states go on token by token");
    this.#setLast(SEGMENT_SEES_ALL, 1);
  }

  #setLast(word: number, value: number): void {
    const { segments, segmentCount } = this.#step;
    segments[(segmentCount - 1) * SEGMENT_WORDS + word] = value;
  }

  /** The last `rows` rows follow one another from index `from` of their text on. */
  #stand(
    positions: Int32Array,
    from: number,
    rows: number,
    spans: readonly GivenSpan[],
  ): void {
    let at = (this.#step.tokenCount - rows) * POSITION_AXES;
    for (let index = from; index < from + rows; index++) {
      for (let axis = 0; axis < POSITION_AXES; axis++) {
        positions[at++] = positionOn(axis, index, spans);
      }
    }
  }

  /**
   * Runs the step on all ranks.
   * @returns false when it was aborted.
   * @throws {RequestError} when it is void: a read has failed.
   * @throws {Error} when a rank has failed.
   */
  run(): boolean {
    const isComplete = runOnAll(this.runner, this.#step);
    if (this.chain !== null) {
      this.chain.tokens = 1;
      this.chain.ahead = 0;
      this.chain.goesOn = false;
    }
    // Every rank has finished the step: what it left in the cache is behind the counted positions.
    const failure = this.#readFailure?.take() ?? "";
    if (failure !== "") throw readError(failure);
    return isComplete;
  }

  /** Logits of a step's row, [vocab]: this rank's own, and the others' put behind them. */
  gatherRow(row: number): Float32Array {
    this.#putParts(this.#rows[row], row);
    return this.#rows[row];
  }

  /** Puts a row's logits on the board; rows are taken in order, for the board is the first. */
  takeRow(row: number): void {
    const { scores } = this.board;
    this.board.showAll();
    if (row > 0) scores.set(this.#own[row]);
    this.#putParts(scores, row);
  }

  /**
   * Puts the best logits of a chain's token on the board; false: they are not known, or some are of
   * tokens that are never said, which the GPU does not know.
   */
  takeBest(index: number): boolean {
    const best = this.chain!.bestAt(index);
    if (best === null) return false;
    if (this.#silenced.length > 0) {
      for (let i = 0; i < best.count; i++) if (this.#isSilenced(best.ids[i])) return false;
    }
    this.board.showBest(best);
    return true;
  }

  #putParts(to: Float32Array, row: number): void {
    const { plans } = this.runner.setup;
    const parts = this.#parts[row];
    for (let i = 0; i < parts.length; i++) to.set(parts[i], plans[i + 1].shard.vocab.start);
    for (const { start, end } of this.#silenced) to.fill(-Infinity, start, end);
  }

  #isSilenced(id: number): boolean {
    for (const { start, end } of this.#silenced) if (id >= start && id < end) return true;
    return false;
  }

  /** Block `index` of the slot's sequence is block `block` of the pool; all ranks read it. */
  setBlock(slot: number, index: number, block: number): void {
    const at = slot * this.#tableBlocks + index;
    for (let i = 0; i < this.#tables.length; i++) this.#tables[i][at] = block;
    this.beside?.setBlock(slot, index, block);
  }

  /** Makes block `to` of the pool what block `from` is. Between steps. */
  copyBlock(from: number, to: number): void {
    this.#pieces ??= piecesOf(this.runner.setup);
    copyBlock(this.#pieces, from, to);
    this.beside?.copyBlock(from, to);
  }
}

/**
 * Publishes a step and takes the leader's part of it.
 * @returns false when it was aborted.
 * @throws {Error} when a rank has failed.
 */
export function runOnAll(runner: RankRunner, step: StepWords): boolean {
  const { control } = runner;
  control.publish(step);
  try {
    return runner.runStep(step);
  } catch (error) {
    // The others wait at a join that will never come.
    control.fail(0);
    throw error;
  }
}

/** Tables of blocks of one rank's arenas; one without heads does not read them. */
export function tablesOf(plan: RankPlan, memories: readonly WebAssembly.Memory[]): Uint32Array[] {
  const words = plan.sequences * tableBlocks(plan.contextLength);
  return plan.workspaces
    .map(({ tables }, arena) => new Uint32Array(memories[arena].buffer, tables, words));
}
