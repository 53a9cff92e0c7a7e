/**
 * The feed-forward block on one rank: its share of the neurons, all of them or those of the experts
 * that tokens chose. Every rank has neurons of every expert, so ranks stay balanced whatever is
 * chosen, and no join is needed to choose.
 */
import { check } from "../base/check.ts";
import type { Control } from "../memory/control.ts";
import { floats } from "./arena_views.ts";
import type { Dense, Experts, Layer, Predictor } from "./layer.ts";
import { type Activations, multiply, project } from "./matrix.ts";
import { activateNeurons } from "./neurons.ts";
import type { Observer } from "./observer.ts";
import type { RankPlan, RoutingWorkspacePlan } from "./plan_types.ts";
import type { Residual } from "./residual.ts";
import { type Routes, Routing } from "./routing.ts";
import { Predictors } from "./predictors.ts";
import { SparseBlock } from "./sparse_block.ts";
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
    },
  ) {
    const { plan, config: { experts } } = state;
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
    if (block.kind !== "dense" || block.predictor === null) return true;
    const { isRehearsal } = this.#state;
    if (!isRehearsal && !this.#listsGuesses(block.predictor)) return true;
    return this.#predictors === null || this.#predictors.prepare(block.predictor);
  }

  /** True where only the neurons that a predictor names are looked at. */
  #listsGuesses(predictor: Predictor): boolean {
    if (this.#state.n !== 1 || this.#sparse === null || this.#predictors === null) return false;
    return this.#predictors.isTrusted(predictor);
  }

  /** partial += the block's share, of norm(residual). */
  run(layer: Layer): void {
    const block = layer.feedForward;
    this.#observer?.enterBlock(layer.index);
    if (block.kind === "dense") {
      if (block.up.rowCount > 0) this.#addDense(block, layer);
      else this.#residual.add(block.down, this.#state.inputs.hidden);
      return;
    }
    const x = this.#read(block, layer);
    if (!layer.routesEarly) this.#route(block, x);
    this.#addExperts(block, x);
    if (block.shared !== null) this.#addShared(block, block.shared, x);
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

  #read(block: Dense | Experts, layer: Layer): Activations {
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
    for (let e = 0; e < block.experts.length; e++) {
      const expert = block.experts[e];
      const first = starts[e];
      const count = starts[e + 1] - first;
      if (count === 0 || expert.up.rowCount === 0) continue;
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

  #addShared(block: Experts, shared: Dense, x: Activations): void {
    const { kernels, inputs, space, n, arena } = this.#state;
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
