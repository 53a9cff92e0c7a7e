/**
 * The feed-forward block on one rank: its share of the neurons, all of them or those of the experts
 * that tokens chose. Every rank has neurons of every expert, so ranks stay balanced whatever is
 * chosen, and no join is needed to choose.
 */
import { check } from "../base/check.ts";
import type { Control } from "../memory/control.ts";
import { floats } from "./arena_views.ts";
import type { Dense, Experts, Layer, Predictor, Streamed } from "./layer.ts";
import { type Activations, multiply, project } from "./matrix.ts";
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
  /** Per arena; empty where no layer has experts. */
  readonly #views: readonly RoutingViews[];

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
  predict({ feedForward: block }: Layer): boolean {
    if (block.kind === "experts" || block.predictor === null) return true;
    const { isRehearsal } = this.#state;
    if (!isRehearsal && (hasAllGates(block) || !this.#listsGuesses(block.predictor))) return true;
    return this.#predictors === null || this.#predictors.prepare(block.predictor);
  }

  /** True where only the neurons that a predictor names are looked at. */
  #listsGuesses(predictor: Predictor): boolean {
    if (this.#state.n !== 1 || this.#sparse === null || this.#predictors === null) return false;
    return this.#predictors.isTrusted(predictor);
  }

  /**
   * partial += the block's share, of norm(residual).
   * @returns false when the leader aborted the step.
   */
  run(layer: Layer): boolean {
    const block = layer.feedForward;
    this.#observer?.enterBlock(layer.index);
    if (block.kind === "streamed") return this.#addStreamed(block, layer);
    if (block.kind === "dense") {
      if (block.up.rowCount > 0) this.#addDense(block, layer);
      else this.#residual.add(block.down, this.#state.inputs.hidden);
      return true;
    }
    const x = this.#read(block, layer);
    if (!layer.routesEarly) this.#route(block, x);
    this.#addExperts(block, x);
    if (block.shared !== null) this.#addShared(block, block.shared, x);
    return true;
  }

  #addDense(block: Dense, layer: Layer): void {
    const { isRehearsal, n, space } = this.#state;
    const { predictor } = block;
    if (predictor !== null && n === 1 && !isRehearsal) {
      if (this.#sparse !== null && this.#predictors !== null && this.#listsGuesses(predictor)) {
        const count = this.#predictors.list(predictor);
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
    if (isRehearsal && predictor !== null) this.#predictors?.compare(predictor, hidden);
    this.#residual.add(block.down, hidden);
  }

  /** Neuron by neuron where one token is computed and says which it needs; else as a whole. */
  #addStreamed(block: Streamed, layer: Layer): boolean {
    const { n, arena, isRehearsal, space } = this.#state;
    const isListed = n === 1 && !isRehearsal && this.#sparse !== null &&
      (hasAllGates(block) || block.predictor !== null && this.#listsGuesses(block.predictor));
    if (!isListed) {
      if (block.count > 0) this.#addDense(this.#streaming!.bring(block, arena), layer);
      return true;
    }
    const { neurons } = this.#streaming!;
    if (block.count > 0) {
      const listed = hasAllGates(block) ? null : this.#predictors!.list(block.predictor!);
      neurons.begin(block, this.#read(block, layer), 0, listed);
    }
    const goesOn = this.#readAhead(layer);
    if (block.count > 0) {
      // Guessing ahead has used the place of what the block reads.
      neurons.finish(block, this.#read(block, layer), 0, { rows: space.tokens, weights: 0 });
    }
    return goesOn;
  }

  /**
   * Guesses by what this layer reads which neurons the next one will need, and asks for them: the
   * residual stream changes little from layer to layer (NOTES.md). Right or wrong, the answer is
   * the same: the next layer asks its own predictor. All ranks do it or none.
   * @returns false when the leader aborted the step.
   */
  #readAhead({ index, arena }: Layer): boolean {
    const next = this.#streaming!.predicted(index + 1);
    if (next === null || next.arena !== arena || !this.#listsGuesses(next.predictor)) return true;
    if (!this.#predictors!.prepareAhead(next.predictor)) return false;
    const { neurons } = this.#streaming!;
    if (next.block.count > 0) {
      neurons.readAhead(next.block.unit, this.#predictors!.list(next.predictor));
    }
    return true;
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
    const { kernels, n, arena } = this.#state;
    const { plan, routes } = this.#views[arena];
    check(this.#routing !== null, "a model with experts has routes");
    const { starts } = this.#routing;
    if (this.#listsStreamed) this.#beginExperts(block, x, starts);
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
      const attempt = this.#addFired(expert, own, count, rows, weights);
      if (attempt === "added") continue;
      const hidden = activateNeurons(this.#state, expert, own, count, attempt === "gated");
      this.#observer?.seeExpert(expert, hidden, {
        index: e,
        tokens: routes.rows.subarray(first, first + count),
      });
      kernels.scale_rows_f32(hidden.f32, hidden.stride, weights, count, expert.up.rowCount);
      this.#residual.addRows(expert.down, hidden, rows, count);
    }
  }

  /** All streamed experts of the step's only token are asked for before one is computed. */
  #beginExperts(block: Experts, x: Activations, starts: Int32Array): void {
    let lane = 0;
    for (let e = 0; e < block.experts.length; e++) {
      const expert = block.experts[e];
      if (starts[e + 1] === starts[e] || !this.#streams(expert) || expert.count === 0) continue;
      this.#streaming!.neurons.begin(expert, x, lane++, null);
    }
  }

  /** The step is one token whose neurons are read by list, where a block can list them. */
  get #listsStreamed(): boolean {
    return this.#streaming !== null && this.#sparse !== null && this.#state.n === 1;
  }

  #streams(block: Dense | Streamed): block is Streamed {
    return this.#listsStreamed && block.kind === "streamed" && hasAllGates(block);
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
  #gather(x: Activations, expert: Dense, rows: number, count: number): Activations {
    const { kernels, n, arena, config: { embeddingLength: d } } = this.#state;
    const { gathered: to } = this.#views[arena];
    if (expert.readsQ8) kernels.gather_q8(x.q8, n, d, rows, count, to.q8);
    if (expert.readsFloats) {
      kernels.gather_rows_f32(x.f32, x.stride, n, rows, count, to.f32, to.stride, d);
    }
    return to;
  }
}

/** True where all gates of the block are in memory: then they are asked, and no predictor. */
function hasAllGates(block: Dense | Streamed): boolean {
  return block.kind === "streamed" && block.gateParts.length > 0;
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
