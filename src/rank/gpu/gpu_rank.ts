/**
 * A rank whose matrices lie on a GPU. Alone, the residual stream stays there from the embedding to
 * the logits, and the walk's steps only say where commands end. Beside other ranks it keeps the
 * stream in its own arena as every rank does: it sends it to the GPU before a block, and what the
 * block leaves comes back into its partial sum, so that joins are the same sums in the same order.
 * Knows when what is computed; what a layer computes is in gpu_layer.ts.
 */
import { type Gpu, GpuUnavailableError, type Program } from "../../../gpu/mod.ts";
import { check } from "../../base/check.ts";
import { configOf } from "../../model/layer_config.ts";
import type { TowerInput } from "../../model/vision_types.ts";
import type { Control, StepWords } from "../../memory/control.ts";
import { addressOf, bindNorm, type Norm } from "../bound/bound_norm.ts";
import { LayerTally, neuronsAsked } from "../step/layer_tally.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import { isTrusted, recallView } from "../neurons/predictors.ts";
import type { RankSteps } from "../rank_steps.ts";
import { Residual } from "../step/residual.ts";
import { StepState, type StepStateInput } from "../step/step_state.ts";
import type { TokenRows } from "../blocks/token_table.ts";
import { Vocabulary } from "../blocks/vocabulary.ts";
import { floats } from "../bound/arena_views.ts";
import type { Brought } from "./brought_neurons.ts";
import { ChosenRoutes } from "./chosen_routes.ts";
import type { GpuLayer } from "./gpu_layer.ts";
import { type GpuRankParts, openParts } from "./gpu_parts.ts";
import { GpuStep } from "./gpu_step.ts";
import type { Range } from "../plan/shard.ts";
import { UnitWeights } from "./unit_weights.ts";
import type { PackedUnits } from "../stream/streaming.ts";
import type { WalkedGpuLayer } from "./walked_layer.ts";
import type { GpuLoading } from "./gpu_weights.ts";
import type { TokenChain } from "./token_chain.ts";

export interface GpuRankInput extends StepStateInput, Omit<GpuLoading, "gpu"> {
  /** Whose neurons it has some of; null or left out: the model is no packed one. */
  readonly packed?: PackedUnits & { readonly module: WebAssembly.Module } | null;
  readonly gpu: Gpu;
  readonly control: Control;
  /** Where a table that stays in the file is read; null: there is none. */
  readonly tokenRows: TokenRows | null;
  /** Nobody waits on the spot: logits are there when `arrived` resolves. Only of a rank alone. */
  readonly awaitsLogits?: boolean;
  /** It can compute several tokens a wait, where it is alone. */
  readonly hasChain?: boolean;
}

export class GpuRank implements RankSteps<WalkedGpuLayer> {
  readonly plan: RankPlan;
  readonly #gpu: Gpu;
  readonly #state: StepState;
  readonly #control: Control;
  readonly #residual: Residual;
  readonly #vocabulary: Vocabulary;
  readonly layers: Range;
  readonly #parts: GpuRankParts;
  readonly #isAlone: boolean;
  readonly #embeddingNorm: Norm | null;
  /** Address of f32 [d], or 0. */
  readonly #tokenKind: number;
  readonly #awaitsLogits: boolean;
  readonly #tally: LayerTally;
  /** What the leader has decided of predictors. */
  readonly #recall: Float64Array;
  /** Logits of the last 1, 2, … tokens in the arena. */
  readonly #logits: readonly Float32Array[];
  readonly #step: GpuStep;
  /** Null: it has no experts, or chooses them on the GPU. */
  readonly #chosen: ChosenRoutes | null;
  /** Commands run whose partial sum is not read yet. */
  #isUnderWay = false;
  /** Logits are on their way, and `arrived` was not called. */
  #isAwaited = false;

  private constructor(input: GpuRankInput, state: StepState, parts: GpuRankParts) {
    const { control, awaitsLogits = false } = input;
    this.plan = state.plan;
    this.#gpu = input.gpu;
    this.#state = state;
    this.#control = control;
    this.#residual = new Residual(state, control);
    this.#vocabulary = new Vocabulary(state, { residual: this.#residual, control, rows: null });
    this.#parts = parts;
    this.layers = { start: 0, end: parts.layers.length };
    this.#isAlone = this.plan.gpu!.isAlone;
    this.#awaitsLogits = awaitsLogits;
    this.#embeddingNorm = bindNorm(this.plan.embeddingNorm);
    this.#tokenKind = addressOf(this.plan.tokenKind);
    const [firstMemory] = input.memories[this.plan.rankIndex];
    this.#tally = new LayerTally(this.plan, firstMemory);
    this.#recall = recallView(this.plan, firstMemory);
    const { config: { isEncoder } } = input;
    this.#chosen = ChosenRoutes.of(state, {
      ...{ gpu: input.gpu, residual: this.#residual },
      routes: parts.routes.get(input.config.experts?.usedCount ?? 0) ?? null,
      memories: input.memories[this.plan.rankIndex],
    });
    this.#step = new GpuStep(parts.input, { plan: this.plan, memory: firstMemory, isEncoder });
    const { workspaces, outputArena, logitsRows, strides, rankIndex } = this.plan;
    const memory = input.memories[rankIndex][outputArena];
    this.#logits = Array.from(
      { length: logitsRows },
      (_, row) => floats(memory, workspaces[outputArena].logits, (row + 1) * strides.logits),
    );
  }

  /**
   * Loads the rank's share onto the GPU. What lies in arenas was loaded before.
   * @throws {GpuOutOfMemoryError} when the GPU has no room for it.
   * @throws {GpuUnavailableError} where threads cannot wait for a GPU.
   */
  static async open(input: GpuRankInput): Promise<GpuRank> {
    if (!input.gpu.isQuick && !input.awaitsLogits) {
      throw new GpuUnavailableError(
        "this runtime's threads cannot wait for a GPU: run it with Deno, or with --gpu off",
      );
    }
    const state = new StepState(input);
    const { plan } = state;
    check(!input.awaitsLogits || plan.gpu!.isAlone, "who works beside others waits on the spot");
    using units = input.packed ? new UnitWeights(input.packed) : null;
    return new GpuRank(input, state, await openParts({ ...input, units }, plan));
  }

  /** Null where a wait is for one token. */
  get chain(): TokenChain | null {
    return this.#parts.chain;
  }

  get logitsCount(): number {
    return this.#state.logitsCount;
  }

  begin(step: StepWords): void {
    check(!this.#isAwaited, "logits of the step before have arrived");
    this.#state.begin(step);
    const { chain } = this.#parts;
    chain?.begin();
    this.#step.begin(this.#state, chain ?? undefined);
    this.#isUnderWay = false;
  }

  // --- the residual stream ---------------------------------------------------------------------

  /** The table of embeddings lies in the arena: a token reads one row of it. Patches are sent. */
  embed(): void {
    const { tower } = this.#parts;
    if (this.#goesOn) return;
    if (tower === null) return this.#vocabulary.embed();
    const { views, arena } = this.#state;
    tower.embed(this.#step, views.residual[arena]);
  }

  /** What the next step is of: of a tower. */
  takePatches(input: TowerInput): void {
    check(this.#parts.tower !== null, "patches are a tower's");
    this.#parts.tower.take(input);
  }

  /** Who has a GPU guesses nothing. */
  enterGuess(): boolean {
    return true;
  }

  joinEmbedding(): boolean {
    if (this.#parts.tower !== null || this.#goesOn) return this.#control.join();
    if (!this.#residual.joinEmbedding(this.#embeddingNorm, this.#tokenKind)) return false;
    if (this.#isAlone) this.#sendResidual();
    for (const each of this.#parts.sent) each.send(this.#control.stepIds(), this.#step.n);
    return true;
  }

  #sendResidual(): void {
    const { views, arena } = this.#state;
    const { residual } = this.#parts.space;
    this.#gpu.write(residual.buffer, residual.offsetBytes, views.residual[arena]);
  }

  /** Runs a block of commands that begins with the stream and leaves a partial sum. */
  #runBlock(program: Program, isLast: boolean): void {
    if (!this.#isUnderWay) this.#sendResidual();
    this.#isUnderWay = true;
    const { space: { partial }, partialBack } = this.#parts;
    program.run(
      this.#step,
      isLast
        ? {
          to: partialBack,
          from: partial.buffer,
          offsetBytes: partial.offsetBytes,
          bytes: this.#step.n * partial.stride * 4,
        }
        : undefined,
    );
  }

  #join(norm: Norm | null): boolean {
    if (this.#isAlone) return this.#control.join();
    if (this.#isUnderWay) this.#parts.partialBack.readInto(this.#residual.partialToFill());
    this.#isUnderWay = false;
    return this.#residual.join(norm);
  }

  // --- a layer ---------------------------------------------------------------------------------

  enterLayer(index: number): WalkedGpuLayer {
    if (index === 0) this.#tally.begin();
    const each = this.#parts.layers[index];
    this.#state.carryTo(each.layer.arena);
    return each;
  }

  /** Where all experts are its own it is a part of attention, or of the block. */
  routeEarly({ layer }: WalkedGpuLayer): void {
    this.#chosen?.chooseEarly(layer.index);
  }

  /** All of attention: the GPU needs no say between its parts. */
  project(walked: WalkedGpuLayer): void {
    const { attention, joinsAttention, layer, several } = walked;
    if (several !== null && !this.#goesOn) several.run(this.#step);
    const brought = this.#broughtTo(layer);
    const isLast = joinsAttention || !this.#hasNeurons(walked) && brought === null;
    if (attention !== null) this.#runBlock(attention, isLast);
    // The threads attend meanwhile, or the GPU does.
    if (brought !== null) this.#parts.brought!.stream.bring(brought.index);
  }

  /** It computes neurons of its own of the layer in this step. */
  #hasNeurons({ feedForward, layer }: WalkedGpuLayer): boolean {
    return feedForward !== null && this.#step.n >= layer.neuronsFromTokens;
  }

  /** What is brought of a layer for a step as long as this one. */
  #broughtTo({ index }: GpuLayer): Brought | null {
    const { brought } = this.#parts;
    return brought !== null && this.#state.isGpusAlone(index) ? brought.layers[index] : null;
  }

  /** Where others sum squares over ranks they wait for this one, which has all heads or none. */
  normalizeHeads({ layer: { joinsNorms } }: WalkedGpuLayer): boolean {
    if (this.#isAlone || !joinsNorms) return true;
    const { arenaViews, arena, plan: { rankIndex } } = this.#state;
    arenaViews.squares[arena][rankIndex].fill(0);
    return this.#control.join();
  }

  rotate(): void {}
  remember(): void {}
  attend(): void {}
  mergeHeads(): void {}

  feedShared(): boolean {
    return true;
  }

  endLayer({ outputScale, direction }: WalkedGpuLayer): boolean {
    this.#residual.scale(outputScale);
    this.#residual.steer(direction);
    return true;
  }

  /** As for norms of heads: it has all heads of states, which then are its own, or none. */
  recur({ joinsStates }: WalkedGpuLayer): boolean {
    if (!joinsStates) return true;
    const { arenaViews, arena, plan: { rankIndex } } = this.#state;
    arenaViews.states[arena][rankIndex].fill(0);
    return this.#control.join();
  }

  endStreams(): boolean {
    return true;
  }

  joinAttention({ postNorms }: WalkedGpuLayer): boolean {
    return this.#join(postNorms.attention);
  }

  /** Threads exchange what predictors have between their matrices, in the steps that ask them. */
  predict({ predictors, layer }: WalkedGpuLayer): boolean {
    if (this.#isAlone || predictors === null) return true;
    const { isRehearsal, isApart } = this.#state;
    const asks = isApart && !predictors.haveAllGates && isTrusted(this.#recall, layer.index);
    return isRehearsal || asks ? this.#control.join() : true;
  }

  feedForward(walked: WalkedGpuLayer): void {
    const { feedForward, layer } = walked;
    const brought = this.#broughtTo(layer);
    if (feedForward !== null && this.#hasNeurons(walked)) {
      this.#chosen?.send(layer.index);
      this.#runBlock(feedForward, brought === null);
    }
    if (brought !== null) {
      this.#runBlock(brought.program, true);
      this.#parts.brought!.stream.bringNext(brought.index);
    }
    const { n } = this.#step;
    const asked = this.#state.isGpusAlone(layer.index)
      ? n * configOf(this.#state.config, layer.index).feedForwardLength
      : neuronsAsked(this.plan.layers[layer.index], n) * this.#chained;
    this.#tally.end(layer.index, asked, asked);
  }

  /** The step's first tokens are on the GPU already: only what comes behind them is to be sent. */
  get #goesOn(): boolean {
    return this.#parts.chain?.goesOn ?? false;
  }

  /** Tokens that one of the step stands for. */
  get #chained(): number {
    return this.#parts.chain?.tokens ?? 1;
  }

  joinFeedForward({ postNorms }: WalkedGpuLayer): boolean {
    return this.#join(postNorms.feedForward);
  }

  // --- the end ---------------------------------------------------------------------------------

  scoreVocabulary(): boolean {
    this.#score();
    return true;
  }

  #score(): void {
    const { output, logitsBack, space: { logits } } = this.#parts;
    if (output === null) return;
    this.#state.carryTo(this.plan.outputArena);
    if (!this.#isAlone) this.#sendResidual();
    if (this.#chained > 1) {
      this.#parts.chain!.run(this.#step);
      return;
    }
    const { m } = this.#step;
    output.run(this.#step, {
      to: logitsBack,
      from: logits.buffer,
      offsetBytes: logits.offsetBytes,
      bytes: m * logits.stride * 4,
    });
    this.#step.writeAhead();
    if (this.#awaitsLogits) this.#isAwaited = true;
    else logitsBack.readInto(this.#logits[m - 1]);
  }

  /** True where the whole model is here, and this thread can wait for what it gives. */
  get hasFinalRows(): boolean {
    return this.#parts.rows !== null && !this.#awaitsLogits;
  }

  /** norm(residual) of all tokens of the step that has ended, [n, strides.embedding]: a view. */
  finalRows(): Float32Array {
    const { rows, partialBack, space: { partial } } = this.#parts;
    const { n } = this.#step;
    rows!.run(this.#step, {
      to: partialBack,
      from: partial.buffer,
      offsetBytes: partial.offsetBytes,
      bytes: n * partial.stride * 4,
    });
    const to = this.#residual.partialToFill();
    partialBack.readInto(to);
    return to;
  }

  /**
   * Where logits are awaited: those of the step are in the arena then.
   * @throws {GpuLostError} when the GPU is gone or the step came to nothing.
   */
  async arrived(): Promise<void> {
    if (!this.#isAwaited) return;
    this.#isAwaited = false;
    await this.#parts.logitsBack.readIntoLater(this.#logits[this.#step.m - 1]);
  }

  meet(): boolean {
    return this.#control.join();
  }
}
