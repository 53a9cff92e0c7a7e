/**
 * The feed-forward block on one rank: its share of the neurons, all of them or those of the experts
 * that tokens chose. Every rank has neurons of every expert, so ranks stay balanced whatever is
 * chosen, and no join is needed to choose.
 */
import { addCompanions, addDownBiases } from "../neurons/beside_experts.ts";
import { ExpertRoutes } from "../neurons/expert_routes.ts";
import type { Dense, Experts, Predictor, Streamed } from "../bound/bound_blocks.ts";
import { beginsApart, hasAllGates } from "../bound/bound_blocks.ts";
import { NEURONS, weigh } from "../step/inner_norms.ts";
import type { Layer } from "../bound/layer.ts";
import { type Activations, readsQ8 } from "../bound/matrix.ts";
import { GateCutoff } from "../neurons/gate_cutoff.ts";
import { GuessAhead } from "../stream/guess_ahead.ts";
import { activateNeurons } from "../neurons/neurons.ts";
import type { Observer } from "../step/observer.ts";
import type { Residual } from "../step/residual.ts";
import { type PredictedTokens, Predictors } from "../neurons/predictors.ts";
import { LatentExperts } from "./latent_experts.ts";
import type { FeedForwardParts } from "./feed_forward_parts.ts";
import { SharedExpert } from "./shared_expert.ts";
import { addFired, SparseBlock } from "../neurons/sparse_block.ts";
import type { Streaming } from "../stream/streaming.ts";
import type { StepState } from "../step/step_state.ts";

/** What an expert may read. */
const BOTH_FORMS = { readsQ8: true, readsFloats: true };

export class FeedForwardBlock {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #routes: ExpertRoutes;
  readonly #shared: SharedExpert;
  /** Who adds what goes along with experts. */
  readonly #adding: { readonly residual: Residual; readonly routes: ExpertRoutes };
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
  /** Null where experts read what the router does. */
  readonly #latents: LatentExperts | null;
  /** Null where gates are as they are. */
  readonly #gateCutoff: GateCutoff | null;
  /** What an expert gives to a token is not multiplied by its weight, but what it reads. */
  readonly #weighsInputs: boolean;
  /** Predictors of the experts of the layer that is computed were asked. */
  #asksNow = false;

  /** memories: this rank's, one per arena. */
  constructor(
    state: StepState,
    by: FeedForwardParts,
  ) {
    const { plan } = state;
    this.#streaming = by.streaming;
    this.#weighsInputs = state.config.experts?.weighsInputs ?? false;
    this.#state = state;
    this.#residual = by.residual;
    this.#observer = by.observer;
    this.#sparse = plan.isSparse && by.observer === null ? new SparseBlock(state, by) : null;
    this.#predictors = plan.strides.predictor > 0 ? new Predictors(state, by) : null;
    const { streaming } = by, length = state.config.experts?.latentLength;
    this.#latents = length === undefined ? null : new LatentExperts(state, { ...by, length });
    this.#guessAhead = streaming !== null && this.#predictors !== null
      ? new GuessAhead(state, { ...by, streaming, predictors: this.#predictors })
      : null;
    const cutsGates = state.config.layers.some(({ gateCutoff }) => gateCutoff !== undefined);
    this.#gateCutoff = cutsGates ? new GateCutoff(state, by) : null;
    this.#routes = new ExpertRoutes(state, by.memories, by.control.stepIds());
    this.#adding = { residual: by.residual, routes: this.#routes };
    this.#shared = new SharedExpert(state, {
      ...by,
      routes: this.#routes,
      sparse: this.#sparse,
    });
  }

  /** Lets tokens choose their experts by the layer's input, in models that do so. */
  routeEarly(layer: Layer): void {
    const block = layer.feedForward;
    if (!layer.routesEarly || block?.kind !== "experts" || block.isElsewhere) return;
    if (block.inputNorm === null) this.#routes.choose(block, this.#state.inputs.residual);
    else this.#routes.chooseEarly(block, this.#residual, block.inputNorm);
  }

  /**
   * Makes the layer's predictor ready where it is to be asked in this step; all ranks do alike. So
   * they do with gates that are cut off: where depends on all of them.
   * @returns false when the leader aborted the step.
   */
  predict(layer: Layer): boolean {
    const { feedForward: block } = layer;
    if (block?.kind === "dense" && block.gateCutoff !== null) {
      return this.#gateCutoff!.run(block, this.#read(block, layer), layer.index);
    }
    if (block === null || !this.#asksPredictors(block)) return true;
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
    const { n } = this.#state;
    if (!layer.routesEarly) this.#routes.choose(block, this.#read(block, layer));
    const { starts } = this.#routes;
    const wantsQ8 = readsQ8(block.predictor!.first);
    const forms = { readsQ8: wantsQ8, readsFloats: !wantsQ8 };
    const x = this.#residual.read(null, wantsQ8);
    for (let e = 0; e < block.experts.length; e++) {
      const count = starts[e + 1] - starts[e];
      if (count === 0) continue;
      const own = this.#routes.gather(x, forms, starts[e], count);
      this.#predictors!.ask(block.experts[e].predictor!, own, starts[e], count);
    }
    return n * block.usedCount;
  }

  /** True where only the neurons that a predictor names are looked at. */
  #listsGuesses(predictor: Predictor): boolean {
    if (!this.#state.isApart || this.#sparse === null || this.#predictors === null) return false;
    return this.#predictors.isTrusted(predictor);
  }

  /**
   * The expert that all tokens use, where it is normalised by itself; or the others, where their
   * sum is.
   * @returns false when the leader aborted the step.
   */
  runShared(layer: Layer): boolean {
    const { feedForward: block } = layer;
    if (block === null || !beginsApart(block)) return true;
    this.#observer?.enterBlock(layer.index);
    if (block.latent !== null) {
      const x = this.#read(block, layer);
      this.#routes.choose(block, x);
      this.#addExperts(block, this.#latents!.read(block.latent, x, block.readsQ8));
      if (block.downBiases !== 0) addDownBiases(this.#state, this.#adding, block);
      return this.#latents!.join(block.latent);
    }
    if (block.apart === null || block.shared === null) return true;
    const { sharedNorm, sharedPostNorm } = block.apart;
    const x = this.#residual.read(sharedNorm, block.shared.readsQ8);
    this.#shared.add(block, block.shared, x);
    return this.#residual.joinApart(sharedPostNorm);
  }

  /** partial += the block's share, of norm(residual), as much as the layer says. */
  run(layer: Layer): void {
    this.#run(layer);
    if (layer.feedForwardScale !== null) this.#residual.scalePartial(layer.feedForwardScale);
    if (layer.feedForwardGains !== 0) this.#residual.weighPartial(layer.feedForwardGains);
  }

  #run(layer: Layer): void {
    const block = layer.feedForward;
    if (block === null) return;
    if (this.#state.isGpusAlone(layer.index) && block.kind === "dense") {
      return this.#residual.addBias(block.down);
    }
    if (!beginsApart(block)) this.#observer?.enterBlock(layer.index);
    if (block.kind === "streamed") return this.#addStreamed(block, layer);
    if (block.kind === "dense") {
      if (block.up.rowCount > 0) this.#addDense(block, layer);
      else this.#residual.add(block.down, this.#state.inputs.hidden);
      return this.#addStepped(layer);
    }
    const { apart, latent } = block;
    if (latent !== null) {
      if (block.shared) this.#shared.add(block, block.shared, this.#read(block, layer));
      if (this.#listsStreamed) this.#streaming!.neurons.endLayer(layer.index);
      return;
    }
    if (block.isElsewhere) return;
    if (apart !== null) this.#routes.chooseApart(block, this.#residual, apart.routerNorm);
    const x = block.inputNorm === null ? this.#read(block, layer) : this.#routes.readEarly(block);
    this.#asksNow = this.#asksPredictors(block);
    if (!layer.routesEarly && !this.#asksNow && apart === null) this.#routes.choose(block, x);
    if (this.#listsStreamed && !this.#weighsInputs && (block.haveAllGates || this.#asksNow)) {
      const { n } = this.#state;
      for (let t = 0; t < n; t++) {
        this.#addExpertsOf(block, this.#sparse!.take(x, BOTH_FORMS, n, t), t);
      }
    } else this.#addExperts(block, x);
    if (block.companions.length > 0) addCompanions(this.#state, this.#adding, block, x);
    if (block.downBiases !== 0) addDownBiases(this.#state, this.#adding, block);
    if (block.shared !== null && block.apart === null) {
      const own = block.inputNorm === null ? x : this.#read(block, layer);
      this.#shared.add(block, block.shared, own);
    }
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
    const { isRehearsal, isApart, n, space } = this.#state;
    const { predictor } = block;
    if (predictor !== null && isApart && !isRehearsal) {
      if (this.#listsGuesses(predictor)) {
        const places = { first: 0, count: n, rows: space.tokens, weights: 0 };
        return this.#addPredicted(block, predictor, this.#read(block, layer), places);
      }
      this.#sparse?.countPredictor(predictor.sizeBytes);
    }
    const x = this.#read(block, layer);
    const attempt = isRehearsal ? "refused" : addFired(this.#sparse, block, x, n, space.tokens, 0);
    if (attempt === "added") return;
    const hasGates = attempt === "gated" || block.gateCutoff !== null;
    const hidden = activateNeurons(this.#state, block, x, n, hasGates);
    this.#observer?.seeDense(block, hidden);
    if (isRehearsal && predictor !== null) this.#predictors?.compare(block, hidden, 0, n);
    if (block.innerNorm !== 0) {
      const width = block.up.rowCount;
      weigh(this.#state, block.innerNorm, hidden, { row: NEURONS, width });
    }
    this.#residual.add(block.down, hidden);
  }

  /** partial[rows[t]] += the neurons that the predictor names, of the tokens of x one by one. */
  #addPredicted(block: Dense, predictor: Predictor, x: Activations, to: PredictedTokens): void {
    const { first, count, rows, weights } = to;
    for (let t = 0; t < count; t++) {
      const listed = this.#predictors!.list(predictor, first + t, this.#state.space.fired);
      const own = this.#sparse!.take(x, block, count, t);
      const weight = weights === 0 ? 0 : weights + 4 * t;
      this.#sparse!.addListed(block, own, listed, rows + 4 * t, weight);
    }
  }

  /** Neuron by neuron where tokens say one by one which they need; else as a whole. */
  #addStreamed(block: Streamed, layer: Layer): void {
    const { n, arena, isApart, isRehearsal, space } = this.#state;
    const isListed = isApart && !isRehearsal && this.#sparse !== null &&
      (hasAllGates(block) || block.predictor !== null && this.#listsGuesses(block.predictor));
    if (!isListed) {
      if (block.count === 0) return this.#residual.addBias(block.staged.down);
      const brought = this.#streaming!.bring(block, arena, block.unit + 1, false);
      return this.#addDense(brought, layer);
    }
    const { neurons } = this.#streaming!;
    const asks = !hasAllGates(block);
    const x = this.#read(block, layer);
    for (let t = 0; t < n; t++) {
      const own = block.count > 0 ? this.#sparse!.take(x, block, n, t) : x;
      if (block.count > 0) {
        const listed = asks ? this.#predictors!.list(block.predictor!, t, neurons.listAt(0)) : null;
        neurons.begin(block, own, 0, listed);
      }
      if (asks && t === n - 1) this.#guessAhead?.readAhead();
      if (block.count > 0) {
        neurons.finish(block, own, 0, { rows: space.tokens + 4 * t, weights: 0 });
      }
    }
    neurons.endLayer(layer.index);
  }

  #read(block: Dense | Streamed | Experts, layer: Layer): Activations {
    return this.#residual.read(layer.feedForwardNorm, block.readsQ8, layer.feedForwardShift);
  }

  /** Expert by expert: its tokens side by side, as one product. */
  #addExperts(block: Experts, x: Activations): void {
    const { starts } = this.#routes;
    for (let e = 0; e < block.experts.length; e++) {
      const first = starts[e];
      const count = starts[e + 1] - first;
      if (count === 0) continue;
      const each = block.experts[e];
      if (each.kind === "streamed" && each.count === 0) continue;
      const own = this.#weighsInputs
        ? this.#routes.gatherWeighed(x, first, count)
        : this.#routes.gather(x, each, first, count);
      this.#addExpert(block, own, e, first, count);
    }
  }

  /** partial += what an expert gives to `count` tokens side by side, from route `first` on. */
  #addExpert(
    block: Experts,
    x: Activations,
    index: number,
    first: number,
    count: number,
  ): void {
    const { kernels, arena, isApart, isRehearsal } = this.#state;
    const each = block.experts[index];
    const expert = each.kind === "dense" ? each : this.#streaming!.bring(
      each,
      arena,
      this.#routes.unitAfter(block, index),
      this.#routes.needNearlyAll,
    );
    if (expert.up.rowCount === 0) return;
    const { plan, routes } = this.#routes.views;
    const rows = plan.rows + first * 4;
    const weights = this.#weighsInputs ? 0 : plan.weights + first * 4;
    const { predictor } = expert;
    if (isApart && !isRehearsal && predictor !== null) {
      if (this.#asksNow) {
        return this.#addPredicted(expert, predictor, x, { first, count, rows, weights });
      }
      this.#sparse?.countPredictor(predictor.sizeBytes);
    }
    const attempt = isRehearsal
      ? "refused"
      : addFired(this.#sparse, expert, x, count, rows, weights);
    if (attempt === "added") return;
    const hidden = activateNeurons(this.#state, expert, x, count, attempt === "gated");
    this.#observer?.seeExpert(expert, hidden, {
      index,
      tokens: routes.rows.subarray(first, first + count),
    });
    if (isRehearsal && predictor !== null) {
      this.#predictors?.compare(expert, hidden, first, count);
    }
    if (weights !== 0) {
      kernels.scale_rows_f32(hidden.f32, hidden.stride, weights, count, expert.down.columnCount);
    }
    this.#residual.addRows(expert.down, hidden, rows, count);
  }

  /**
   * The experts of token t of several sequences', some of which are on disk: all are asked for
   * before one is computed. x: the token by itself.
   */
  #addExpertsOf(block: Experts, x: Activations, t: number): void {
    const { n } = this.#state;
    const { plan } = this.#routes.views;
    const { neurons } = this.#streaming!;
    let lane = 0;
    for (let e = 0; e < block.experts.length; e++) {
      const expert = block.experts[e];
      const route = this.#routes.routeOf(e, t);
      if (route < 0 || !this.#streams(expert) || expert.count === 0) continue;
      const listed = hasAllGates(expert)
        ? null
        : this.#predictors!.list(expert.predictor!, route, neurons.listAt(lane));
      neurons.begin(expert, x, lane++, listed);
    }
    if (this.#asksNow && t === n - 1) this.#guessAhead?.readAhead();
    lane = 0;
    for (let e = 0; e < block.experts.length; e++) {
      const expert = block.experts[e];
      const first = this.#routes.routeOf(e, t);
      if (first < 0 || expert.kind === "streamed" && expert.count === 0) continue;
      if (!this.#streams(expert)) this.#addExpert(block, x, e, first, 1);
      else {
        const place = { rows: plan.rows + first * 4, weights: plan.weights + first * 4 };
        neurons.finish(expert, x, lane++, place);
      }
    }
  }

  /** The step's tokens are listed one by one, where a block on disk can list them. */
  get #listsStreamed(): boolean {
    const { isApart, isRehearsal } = this.#state;
    return this.#streaming !== null && this.#sparse !== null && isApart && !isRehearsal;
  }

  #streams(block: Dense | Streamed): block is Streamed {
    return this.#listsStreamed && block.kind === "streamed" &&
      (hasAllGates(block) || this.#asksNow && block.predictor !== null);
  }
}
