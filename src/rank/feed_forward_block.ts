/**
 * The feed-forward block on one rank: its share of the neurons, all of them or those of the experts
 * that tokens chose. Every rank has neurons of every expert, so ranks stay balanced whatever is
 * chosen, and no join is needed to choose.
 */
import { check } from "../base/check.ts";
import type { Control } from "../memory/control.ts";
import { floats } from "./arena_views.ts";
import {
  type Dense,
  type Experts,
  hasAllGates,
  type Layer,
  type Predictor,
  type Streamed,
} from "./layer.ts";
import { type Activations, multiply, project, readsQ8 } from "./matrix.ts";
import { GuessAhead } from "./guess_ahead.ts";
import { activateNeurons } from "./neurons.ts";
import type { Observer } from "./observer.ts";
import type { RankPlan, RoutingWorkspacePlan } from "./plan_types.ts";
import type { Residual } from "./residual.ts";
import { type Routes, Routing } from "./routing.ts";
import { Predictors } from "./predictors.ts";
import { SparseBlock } from "./sparse_block.ts";
import type { Streaming } from "./streaming.ts";
import type { StepState } from "./step_state.ts";

/** One arena's routing workspace as JavaScript sees it. */
interface RoutingViews {
  readonly plan: RoutingWorkspacePlan;
  /** [chunkTokens, experts]. */
  readonly logits: Float32Array;
  readonly routes: Routes;
  /** [chunkTokens]. */
  readonly sharedWeights: Float32Array;
  readonly gathered: Activations;
}

export class FeedForwardBlock {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #routing: Routing | null;
  /** Null where every neuron is computed. */
  readonly #sparse: SparseBlock | null;
  /** Who is shown what neurons do: every neuron is computed then. Null: nobody. */
  readonly #observer: Observer | null;
  /** Null where no block has one. */
  readonly #predictors: Predictors | null;
  /** Null unless the model is a packed one. */
  readonly #streaming: Streaming | null;
  /** Null unless it has predictors, too. */
  readonly #guessAhead: GuessAhead | null;
  /** Per arena; empty where no layer has experts. */
  readonly #views: readonly RoutingViews[];
  /** Predictors of the experts of the layer that is computed were asked. */
  #asksNow = false;

  /** memories: this rank's, one per arena. */
  constructor(
    state: StepState,
    by: {
      residual: Residual;
      control: Control;
      plans: readonly RankPlan[];
      memories: readonly WebAssembly.Memory[];
      observer: Observer | null;
      streaming: Streaming | null;
    },
  ) {
    const { plan, config: { experts } } = state;
    this.#streaming = by.streaming;
    this.#state = state;
    this.#residual = by.residual;
    this.#observer = by.observer;
    this.#sparse = plan.isSparse && by.observer === null ? new SparseBlock(state, by) : null;
    this.#predictors = plan.strides.predictor > 0 ? new Predictors(state, by) : null;
    const { streaming } = by;
    this.#guessAhead = streaming !== null && this.#predictors !== null
      ? new GuessAhead(state, { ...by, streaming, predictors: this.#predictors })
      : null;
    this.#routing = experts && new Routing(experts, plan.chunkTokens);
    this.#views = by.memories.flatMap((memory, arena) => routingViews(state, memory, arena));
  }

  /** Lets tokens choose their experts by the layer's input, in models that do so. */
  routeEarly(layer: Layer): void {
    if (!layer.routesEarly || layer.feedForward.kind !== "experts") return;
    this.#route(layer.feedForward, this.#state.inputs.residual);
  }

  /**
   * Makes the layer's predictor ready where it is to be asked in this step; all ranks do alike.
   * @returns false when the leader aborted the step.
   */
  predict(layer: Layer): boolean {
    const { feedForward: block } = layer;
    if (!this.#asksPredictors(block)) return true;
    const predictors = this.#predictors!;
    const rows = this.#askPredictors(block, layer);
    const guesses = this.#listsStreamed && block.kind !== "dense" ? this.#guessAhead : null;
    guesses?.ask(layer);
    if (!predictors.meet()) return false;
    predictors.complete(layer.index, 0, rows);
    guesses?.complete();
    return true;
  }

  /** @returns how many rows ranks exchange: tokens, or tokens times the experts of each. */
  #askPredictors(block: Dense | Streamed | Experts, layer: Layer): number {
    if (block.kind === "experts") return this.#askExperts(block, layer);
    const { n } = this.#state;
    const { first } = block.predictor!;
    this.#predictors!.ask(block.predictor!, this.#residual.read(null, readsQ8(first)), 0, n);
    return n;
  }

  /** True where predictors of the block are asked in this step. */
  #asksPredictors(block: Dense | Streamed | Experts): boolean {
    const { predictor } = block;
    if (predictor === null || this.#predictors === null) return false;
    if (this.#state.isRehearsal) return true;
    const hasGates = block.kind === "experts" ? block.haveAllGates : hasAllGates(block);
    return !hasGates && this.#listsGuesses(predictor);
  }

  /** Chooses experts and asks the predictors of all that were chosen. */
  #askExperts(block: Experts, layer: Layer): number {
    const { n, arena, config: { experts } } = this.#state;
    if (!layer.routesEarly) this.#route(block, this.#read(block, layer));
    const { starts } = this.#routing!;
    const { plan } = this.#views[arena];
    const wantsQ8 = readsQ8(block.predictor!.first);
    const forms = { readsQ8: wantsQ8, readsFloats: !wantsQ8 };
    const x = this.#residual.read(null, wantsQ8);
    for (let e = 0; e < block.experts.length; e++) {
      const count = starts[e + 1] - starts[e];
      if (count === 0) continue;
      const own = count === n ? x : this.#gather(x, forms, plan.rows + starts[e] * 4, count);
      this.#predictors!.ask(block.experts[e].predictor!, own, starts[e], count);
    }
    return n * experts!.usedCount;
  }

  /** True where only the neurons that a predictor names are looked at. */
  #listsGuesses(predictor: Predictor): boolean {
    if (this.#state.n !== 1 || this.#sparse === null || this.#predictors === null) return false;
    return this.#predictors.isTrusted(predictor);
  }

  /** partial += the block's share, of norm(residual). */
  run(layer: Layer): void {
    const block = layer.feedForward;
    if (this.#state.isGpusAlone(layer.index) && block.kind === "dense") {
      return this.#residual.addBias(block.down);
    }
    this.#observer?.enterBlock(layer.index);
    if (block.kind === "streamed") return this.#addStreamed(block, layer);
    if (block.kind === "dense") {
      if (block.up.rowCount > 0) this.#addDense(block, layer);
      else this.#residual.add(block.down, this.#state.inputs.hidden);
      return this.#addStepped(layer);
    }
    const x = this.#read(block, layer);
    this.#asksNow = this.#asksPredictors(block);
    if (!layer.routesEarly && !this.#asksNow) this.#route(block, x);
    if (this.#listsStreamed) {
      this.#beginExperts(block, x);
      if (this.#asksNow) this.#guessAhead?.readAhead();
    }
    this.#addExperts(block, x);
    if (this.#listsStreamed) this.#streaming!.neurons.endLayer(layer.index);
  }

  /** Neurons that a GPU has only in longer steps. */
  #addStepped(layer: Layer): void {
    const { n } = this.#state;
    for (const { block, tokens } of layer.steppedNeurons) {
      if (n >= tokens.start && n < tokens.end) this.#addDense(block, layer);
    }
  }

  #addDense(block: Dense, layer: Layer): void {
    const { isRehearsal, n, space } = this.#state;
    const { predictor } = block;
    if (predictor !== null && n === 1 && !isRehearsal) {
      if (this.#sparse !== null && this.#predictors !== null && this.#listsGuesses(predictor)) {
        const count = this.#predictors.list(predictor, 0, space.fired);
        this.#sparse.addListed(block, this.#read(block, layer), count);
        return;
      }
      this.#sparse?.countPredictor(predictor.sizeBytes);
    }
    const x = this.#read(block, layer);
    const attempt = isRehearsal ? "refused" : this.#addFired(block, x, n, space.tokens, 0);
    if (attempt === "added") return;
    const hidden = activateNeurons(this.#state, block, x, n, attempt === "gated");
    this.#observer?.seeDense(block, hidden);
    if (isRehearsal && predictor !== null) this.#predictors?.compare(predictor, hidden, 0, n);
    this.#residual.add(block.down, hidden);
  }

  /** Neuron by neuron where one token is computed and says which it needs; else as a whole. */
  #addStreamed(block: Streamed, layer: Layer): void {
    const { n, arena, isRehearsal, space } = this.#state;
    const isListed = n === 1 && !isRehearsal && this.#sparse !== null &&
      (hasAllGates(block) || block.predictor !== null && this.#listsGuesses(block.predictor));
    if (!isListed) {
      if (block.count > 0) this.#addDense(this.#streaming!.bring(block, arena), layer);
      return;
    }
    const { neurons } = this.#streaming!;
    const asks = !hasAllGates(block);
    const x = this.#read(block, layer);
    if (block.count > 0) {
      const listed = asks ? this.#predictors!.list(block.predictor!, 0, neurons.listAt(0)) : null;
      neurons.begin(block, x, 0, listed);
    }
    if (asks) this.#guessAhead?.readAhead();
    if (block.count > 0) neurons.finish(block, x, 0, { rows: space.tokens, weights: 0 });
    neurons.endLayer(layer.index);
  }

  /**
   * partial[rows[t]] += the neurons of `count` tokens that fire, by weights[t], or 0: by 1.
   * "gated": all had better be computed, whose gates already are; "refused": nothing is.
   */
  #addFired(
    block: Dense,
    x: Activations,
    count: number,
    rows: number,
    weights: number,
  ): "added" | "gated" | "refused" {
    if (this.#sparse === null || !this.#sparse.canAdd(block, count)) return "refused";
    return this.#sparse.add(block, x, count, rows, weights) ? "added" : "gated";
  }

  #read(block: Dense | Streamed | Experts, layer: Layer): Activations {
    return this.#residual.read(layer.feedForwardNorm, block.readsQ8);
  }

  #route(block: Experts, x: Activations): void {
    const { kernels, n, arena } = this.#state;
    const { plan, logits, routes } = this.#views[arena];
    check(this.#routing !== null, "a model with experts has routes");
    project(kernels, block.router, x, n, plan.logits, block.router.rowCount);
    this.#routing.route(logits, n, block.choiceBias, routes);
  }

  /** Expert by expert: its tokens side by side, as one product. */
  #addExperts(block: Experts, x: Activations): void {
    const { kernels, n, arena, isRehearsal } = this.#state;
    const { plan, routes } = this.#views[arena];
    check(this.#routing !== null, "a model with experts has routes");
    const { starts } = this.#routing;
    let lane = 0;
    for (let e = 0; e < block.experts.length; e++) {
      const first = starts[e];
      const count = starts[e + 1] - first;
      if (count === 0) continue;
      const each = block.experts[e];
      if (each.kind === "streamed" && each.count === 0) continue;
      if (this.#streams(each)) {
        const place = { rows: plan.rows + first * 4, weights: plan.weights + first * 4 };
        this.#streaming!.neurons.finish(each, x, lane++, place);
        continue;
      }
      const expert = each.kind === "dense" ? each : this.#streaming!.bring(each, arena);
      if (expert.up.rowCount === 0) continue;
      const rows = plan.rows + first * 4;
      const own = count === n ? x : this.#gather(x, expert, rows, count);
      const weights = plan.weights + first * 4;
      if (n === 1 && this.#addGuessed(expert, own, first)) continue;
      const attempt = isRehearsal ? "refused" : this.#addFired(expert, own, count, rows, weights);
      if (attempt === "added") continue;
      const hidden = activateNeurons(this.#state, expert, own, count, attempt === "gated");
      this.#observer?.seeExpert(expert, hidden, {
        index: e,
        tokens: routes.rows.subarray(first, first + count),
      });
      if (isRehearsal && expert.predictor !== null) {
        this.#predictors?.compare(expert.predictor, hidden, first, count);
      }
      kernels.scale_rows_f32(hidden.f32, hidden.stride, weights, count, expert.up.rowCount);
      this.#residual.addRows(expert.down, hidden, rows, count);
    }
    if (block.shared !== null) this.#addShared(block, block.shared, x);
  }

  /**
   * partial += what those neurons of an expert in memory give to the step's only token that its
   * predictor names; the route is number `route`. False: nothing is added, the guess is not asked.
   */
  #addGuessed(expert: Dense, x: Activations, route: number): boolean {
    const { predictor } = expert;
    if (predictor === null || this.#sparse === null || this.#state.isRehearsal) return false;
    if (!this.#asksNow) {
      this.#sparse.countPredictor(predictor.sizeBytes);
      return false;
    }
    const { arena, space } = this.#state;
    const { plan } = this.#views[arena];
    const count = this.#predictors!.list(predictor, route, space.fired);
    this.#sparse.addListed(expert, x, count, plan.weights + route * 4);
    return true;
  }

  /** All streamed experts of the step's only token are asked for before one is computed. */
  #beginExperts(block: Experts, x: Activations): void {
    const { starts } = this.#routing!;
    const { neurons } = this.#streaming!;
    let lane = 0;
    for (let e = 0; e < block.experts.length; e++) {
      const expert = block.experts[e];
      if (starts[e + 1] === starts[e] || !this.#streams(expert) || expert.count === 0) continue;
      const listed = hasAllGates(expert)
        ? null
        : this.#predictors!.list(expert.predictor!, starts[e], neurons.listAt(lane));
      neurons.begin(expert, x, lane++, listed);
    }
  }

  /** The step is one token whose neurons are read by list, where a block can list them. */
  get #listsStreamed(): boolean {
    const { n, isRehearsal } = this.#state;
    return this.#streaming !== null && this.#sparse !== null && n === 1 && !isRehearsal;
  }

  #streams(block: Dense | Streamed): block is Streamed {
    return this.#listsStreamed && block.kind === "streamed" &&
      (hasAllGates(block) || this.#asksNow && block.predictor !== null);
  }

  #addShared(block: Experts, all: Dense | Streamed, x: Activations): void {
    const { kernels, inputs, space, n, arena } = this.#state;
    const shared = all.kind === "dense" ? all : this.#streaming!.bring(all, arena);
    if (shared.up.rowCount === 0) {
      this.#residual.add(shared.down, inputs.hidden);
      return;
    }
    const { plan, sharedWeights } = this.#views[arena];
    const weights = block.sharedGate === null ? 0 : plan.sharedWeights;
    if (block.sharedGate !== null) {
      multiply(kernels, block.sharedGate, x, n, weights, 1);
      for (let t = 0; t < n; t++) sharedWeights[t] = 1 / (1 + Math.exp(-sharedWeights[t]));
    }
    const attempt = this.#addFired(shared, x, n, space.tokens, weights);
    if (attempt === "added") return;
    const hidden = activateNeurons(this.#state, shared, x, n, attempt === "gated");
    this.#observer?.seeShared(shared, hidden);
    const { f32, stride } = hidden;
    if (weights !== 0) kernels.scale_rows_f32(f32, stride, weights, n, shared.up.rowCount);
    this.#residual.add(shared.down, hidden);
  }

  /** The tokens of one expert side by side, in the forms that it reads. */
  #gather(
    x: Activations,
    { readsQ8, readsFloats }: Pick<Dense, "readsQ8" | "readsFloats">,
    rows: number,
    count: number,
  ): Activations {
    const { kernels, n, arena, config: { embeddingLength: d } } = this.#state;
    const { gathered: to } = this.#views[arena];
    if (readsQ8) kernels.gather_q8(x.q8, n, d, rows, count, to.q8);
    if (readsFloats) {
      kernels.gather_rows_f32(x.f32, x.stride, n, rows, count, to.f32, to.stride, d);
    }
    return to;
  }
}

function routingViews(
  { plan, config: { experts } }: StepState,
  memory: WebAssembly.Memory,
  arena: number,
): RoutingViews[] {
  const { routing } = plan.workspaces[arena];
  if (routing === null || experts === null) return [];
  const { chunkTokens, strides } = plan;
  const routes = chunkTokens * experts.usedCount;
  return [{
    plan: routing,
    logits: floats(memory, routing.logits, chunkTokens * experts.count),
    routes: {
      rows: new Uint32Array(memory.buffer, routing.rows, routes),
      weights: floats(memory, routing.weights, routes),
    },
    sharedWeights: floats(memory, routing.sharedWeights, chunkTokens),
    gathered: { f32: routing.gathered, stride: strides.embedding, q8: routing.gatheredQ8 },
  }];
}
