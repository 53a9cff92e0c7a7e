/**
 * Where a rank is in its step: the step's tokens, the arena that the walk is in with its kernels
 * and workspace, and whose turn it is of two partial sums. The blocks of a layer share it; it
 * computes nothing but the rotary tables.
 */
import type { Kernels } from "../../../wasm/kernels.ts";
import { check } from "../../base/check.ts";
import type { StepWords } from "../../memory/control.ts";
import {
  POSITION_AXES,
  SEGMENT_LOGITS,
  SEGMENT_POSITION,
  SEGMENT_ROWS,
  SEGMENT_SLOT,
  SEGMENT_SOURCE,
  SEGMENT_STATE_FROM,
  SEGMENT_STATE_TO,
  SEGMENT_WORDS,
  STEP_KIND_GUESS,
  STEP_KIND_REHEARSE,
} from "../../memory/control_layout.ts";
import { alibiSlopes } from "../../model/alibi.ts";
import { fillRopeTable, fillRopeTableByAxes, type RopeFrequencies } from "../../model/rope.ts";
import { areMadeOfAll } from "../../model/state_matrices.ts";
import type { ModelConfig } from "../../model/types.ts";
import { windowedRows } from "../../model/window_queries.ts";
import { ArenaViews, floats, type StepViews } from "../bound/arena_views.ts";
import { AdaptedRows } from "./adapted_rows.ts";
import { biasRows } from "./bias_rows.ts";
import { boxedFractions, type Fractions } from "./fractions.ts";
import type { GivenTable } from "./given_rows.ts";
import type { Activations } from "../bound/matrix.ts";
import type { RankPlan, WorkspacePlan } from "../plan/plan_types.ts";
import { exchangeFloats, rankStride } from "../plan/plan_state.ts";
import { onesLength, predictorRows } from "../plan/plan_workspace.ts";

export interface StepStateInput {
  readonly config: ModelConfig;
  /** The plans of all ranks: partial sums are read where the others left them. */
  readonly plans: readonly RankPlan[];
  readonly rankIndex: number;
  /** One per rotary embedding of the model. */
  readonly ropeFrequencies: readonly RopeFrequencies[];
  /** Of each bucket and head, where scores have biases. */
  readonly scoreBiases?: readonly Float32Array[];
  /** Kernels bound to this rank's arenas, one each. */
  readonly kernels: readonly Kernels[];
  /** All ranks' arenas: [rank][arena]. */
  readonly memories: readonly (readonly WebAssembly.Memory[])[];
  /** Rows that prompts bring along; left out: another rank puts them in. */
  readonly given?: GivenTable;
}

/** What matrix products read, per arena. */
export interface Inputs {
  /** The residual stream itself: in models that do not normalise what a block reads. */
  readonly residual: Activations;
  readonly normed: Activations;
  readonly attention: Activations;
  readonly hidden: Activations;
  /** What state spaces give. */
  readonly states: Activations;
  /** What experts read where it is a norm of the layer's input. */
  readonly early: Activations;
  /** Between the matrices of a predictor. */
  readonly predictor: Activations;
  /** One of a few tokens by itself: what blocks read. */
  readonly alone: Activations;
  /** Embeddings beside rows, of guesses. */
  readonly pairs: Activations;
}

/** Fields change in `begin`, `carryTo`, `shorten` and `takeTurn` only. */
export class StepState {
  readonly plan: RankPlan;
  readonly config: ModelConfig;
  readonly fractions: Fractions;
  readonly arenaViews: ArenaViews;
  /** Null: another rank puts them in. */
  readonly given: GivenTable | null;
  /** Which of the step's rows have adapters; null: none of the model does. */
  readonly adapted: AdaptedRows | null;
  /** Tokens of the step. */
  n = 0;
  /** Of which sequences they are, [segmentCount, SEGMENT_WORDS]: control_layout.ts. */
  segments: Int32Array;
  segmentCount = 0;
  /** Where they stand, [n, POSITION_AXES]; of models whose ropes have axes. */
  positions: Int32Array;
  /**
   * Each token is another sequence's: what is computed for it does not depend on the others, so
   * that sequences are answered as if they were alone.
   */
  isApart = false;
  /** For how many of them logits are wanted. */
  logitsCount = 0;
  /** Predictors are compared with what fires: all neurons are computed. */
  isRehearsal = false;
  /** The step is the guessing block's. */
  isGuess = false;
  /** Its rows are sources, all of each; else they come behind them, or there are none. */
  isReading = false;
  /** Views of the lengths that n tokens have. */
  views: StepViews;
  arena = 0;
  kernels: Kernels;
  space: WorkspacePlan;
  inputs: Inputs;
  /**
   * Which of the two partials is written. They alternate, also from step to step: a slower rank may
   * still read the other one while this rank is already past the join.
   */
  turn = 0;
  /** The segment of a step that goes on with fewer rows. */
  readonly #shortened = new Int32Array(SEGMENT_WORDS);
  /** Of the model's ropes, with the file's factors. */
  readonly ropeFrequencies: readonly RopeFrequencies[];
  readonly #kernelsOf: readonly Kernels[];
  readonly #inputsOf: readonly Inputs[];

  constructor(input: StepStateInput) {
    const { config, plans, rankIndex, memories } = input;
    this.plan = plans[rankIndex];
    this.config = config;
    this.given = input.given ?? null;
    this.adapted = this.plan.adapters &&
      new AdaptedRows(this.plan, this.plan.adapters, memories[rankIndex]);
    const { stateSpace } = config;
    this.fractions = boxedFractions(config);
    this.arenaViews = new ArenaViews({
      plan: this.plan,
      memories,
      workspaces: plans.map((other) => other.workspaces),
      predictorRows: predictorRows(config, this.plan.chunkTokens),
      stateFloats: exchangeFloats(stateSpace, this.plan.chunkTokens),
      stateRows: {
        rank: stateSpace && stateSpace.stepRank > 0 ? rankStride(stateSpace) : 0,
        made: stateSpace && areMadeOfAll(stateSpace) ? 2 * stateSpace.stateLength : 0,
      },
      streamCount: (config.altUp ?? config.hyper ?? config.gatedStreams)?.streamCount ??
        config.keptStreams ?? 0,
      rotatedDimensions: config.ropes.map((rope) => rope.dimensionCount),
    });
    this.views = this.arenaViews.forTokens(1);
    this.segments = this.positions = new Int32Array(0);
    this.ropeFrequencies = input.ropeFrequencies;
    this.#kernelsOf = input.kernels;
    memories[rankIndex].forEach((memory, arena) =>
      this.#writeConstants(memory, arena, input.scoreBiases)
    );
    this.#inputsOf = this.plan.workspaces.map((space) => inputsOf(space, this.plan));
    this.kernels = this.#kernelsOf[0];
    this.space = this.plan.workspaces[0];
    this.inputs = this.#inputsOf[0];
  }

  #writeConstants(
    memory: WebAssembly.Memory,
    arena: number,
    tables: StepStateInput["scoreBiases"],
  ): void {
    const { ones, slopes } = this.plan.workspaces[arena];
    const { headCount, alibiMaxBias, scoreBiases } = this.config;
    if (ones > 0) floats(memory, ones, onesLength(this.config)).fill(1);
    for (const { arena: its, feedForward: block, lightning } of this.plan.layers) {
      if (its === arena && lightning !== null) {
        const { offsetBytes, values } = lightning.constants;
        floats(memory, offsetBytes, values.length).set(values);
      }
      if (its !== arena || block === null || block.kind === "experts") continue;
      const { curve } = block;
      if (curve !== null) floats(memory, curve.offsetBytes, 4).set(curve.values);
    }
    if (scoreBiases !== undefined) {
      tables!.forEach((table, index) => {
        const rows = biasRows(table, scoreBiases.bucketCount, index > 0);
        floats(memory, slopes + 4 * index * rows.length, rows.length).set(rows);
      });
    } else if (slopes > 0) {
      floats(memory, slopes, headCount).set(alibiSlopes(headCount, alibiMaxBias));
    }
  }

  /** Takes over the step's words and prepares the rotary tables of all arenas. */
  begin(step: StepWords): void {
    check(step.tokenCount >= 1 && step.tokenCount <= this.plan.chunkTokens, "tokens of a step");
    this.n = step.tokenCount;
    this.segments = step.segments;
    this.segmentCount = step.segmentCount;
    this.positions = step.positions;
    this.#takeSegments();
    this.isApart = step.segmentCount === step.tokenCount;
    this.isRehearsal = step.kind === STEP_KIND_REHEARSE;
    this.isGuess = step.kind === STEP_KIND_GUESS;
    this.views = this.arenaViews.forTokens(step.tokenCount);
    this.adapted?.begin(step);
    this.#enterArena(0);
    const tables = this.arenaViews.ropes;
    for (let arena = 0; arena < tables.length; arena++) {
      for (let rope = 0; rope < tables[arena].length; rope++) {
        this.#fillTable(tables[arena][rope], rope);
      }
    }
  }

  /** Checks them, and counts the rows whose logits are wanted. */
  #takeSegments(): void {
    const { segments, segmentCount, plan } = this;
    const { contextLength, logitsRows, sequences, statePlaces } = plan;
    // However few rows go in, queries of them come out.
    const { resampler, windowQueries } = this.config.projector ?? {};
    let rows = 0;
    let logits = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const count = segments[at + SEGMENT_ROWS], position = segments[at + SEGMENT_POSITION];
      const wanted = segments[at + SEGMENT_LOGITS], slot = segments[at + SEGMENT_SLOT];
      check(slot >= 0 && slot < sequences, "a segment's sequence");
      check(position >= 0 && count >= 1 && position + count <= contextLength, "it fits the cache");
      const isPlaced = statePlaces === 0 || segments[at + SEGMENT_STATE_FROM] < statePlaces &&
          segments[at + SEGMENT_STATE_TO] >= 0 && segments[at + SEGMENT_STATE_TO] < statePlaces;
      check(isPlaced, "a segment's states have a place");
      const asked = windowQueries ? windowedRows(windowQueries, count) : resampler?.queryCount ?? 0;
      check(wanted >= 0 && wanted <= Math.max(count, asked), "logits of a segment");
      this.#takeSource(at);
      rows += count;
      logits += wanted;
    }
    check(rows === this.n && logits <= logitsRows, "a step's segments");
    this.logitsCount = logits;
  }

  /**
   * Segments of a step read sources, or answer some, or have none: all alike. Those of a text that
   * is filled in know how long it is.
   */
  #takeSource(at: number): void {
    const { segments, config: { source, fill } } = this;
    const length = segments[at + SEGMENT_SOURCE], rows = segments[at + SEGMENT_ROWS];
    const position = segments[at + SEGMENT_POSITION];
    if (fill) return check(position + rows <= length, "a segment's text");
    const isReading = length > 0 && position < length;
    if (at === 0) this.isReading = isReading;
    check(length > 0 === (source !== undefined), "a segment's source");
    check(isReading === this.isReading, "steps read sources or answer some");
    check(!isReading || position === 0 && rows === length, "a source is one step");
    check(length === 0 || rows <= length, "an answer goes on by fewer ids than its source has");
  }

  /** Cosines and sines of the step's rows. */
  #fillTable(table: Float32Array, rope: number): void {
    const { segments, segmentCount, config, positions } = this;
    const rotated = config.ropes[rope].dimensionCount;
    const frequencies = this.ropeFrequencies[rope];
    let t = 0;
    if (frequencies.axisOf !== undefined) {
      for (; t < this.n; t++) {
        fillRopeTableByAxes(frequencies, positions, t * POSITION_AXES, table, t * rotated);
      }
      return;
    }
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const first = segments[at + SEGMENT_POSITION];
      const end = first + segments[at + SEGMENT_ROWS];
      for (let position = first; position < end; position++, t++) {
        fillRopeTable(frequencies, position, table, t * rotated);
      }
    }
  }

  /** Goes to another arena, taking the residual stream along, and all others. */
  carryTo(arena: number): void {
    if (arena === this.arena) return;
    const { residual, streams } = this.views;
    residual[arena].set(residual[this.arena]);
    for (let stream = 0; stream < streams[arena].length; stream++) {
      streams[arena][stream].set(streams[this.arena][stream]);
    }
    this.#enterArena(arena);
  }

  /** Of a tower, each so many of whose rows became one: the step goes on with the first ones. */
  shorten(rows: number): void {
    check(this.segmentCount === 1 && this.n % rows === 0, "rows of a whole step become fewer");
    this.n /= rows;
    this.views = this.arenaViews.forTokens(this.n);
    this.#shortened.set(this.segments.subarray(0, SEGMENT_WORDS));
    this.#shortened[SEGMENT_ROWS] = this.n;
    this.segments = this.#shortened;
  }

  /** The partial sum that is written, f32 [n, strides.embedding]. */
  get partial(): number {
    return this.space.partials[this.turn];
  }

  /** The step is so long that a GPU computes all neurons of the layer. */
  isGpusAlone(layer: number): boolean {
    const { longSteps } = this.plan;
    return longSteps !== null && this.n >= longSteps.fromTokens && layer < longSteps.layers;
  }

  takeTurn(): void {
    this.turn ^= 1;
  }

  #enterArena(arena: number): void {
    this.arena = arena;
    this.kernels = this.#kernelsOf[arena];
    this.space = this.plan.workspaces[arena];
    this.inputs = this.#inputsOf[arena];
  }
}

function inputsOf(space: WorkspacePlan, plan: RankPlan): Inputs {
  const { embedding, attention, hidden, predictor, states } = plan.strides;
  return {
    residual: { f32: space.residual, stride: embedding, q8: space.normedQ8 },
    normed: { f32: space.normed, stride: embedding, q8: space.normedQ8 },
    early: { f32: space.early, stride: embedding, q8: space.normedQ8 },
    attention: { f32: space.attention, stride: attention, q8: space.attentionQ8 },
    hidden: { f32: space.hidden, stride: hidden, q8: space.hiddenQ8 },
    states: { f32: space.states?.out ?? 0, stride: states, q8: space.states?.outQ8 ?? 0 },
    predictor: { f32: space.predictor, stride: predictor, q8: space.predictorQ8 },
    alone: { f32: space.alone, stride: embedding, q8: space.aloneQ8 },
    pairs: { f32: space.guess?.pairs ?? 0, stride: 2 * embedding, q8: space.guess?.q8 ?? 0 },
  };
}
