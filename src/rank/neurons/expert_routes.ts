/**
 * Which tokens of a step go to which experts on one rank, and tokens of one expert side by side.
 * Knows nothing of what experts compute.
 */
import { check } from "../../base/check.ts";
import { floats } from "../bound/arena_views.ts";
import type { Chooser, Experts } from "../bound/bound_blocks.ts";
import { type Activations, project, quantize } from "../bound/matrix.ts";
import type { Norm } from "../bound/bound_norm.ts";
import type { RoutingWorkspacePlan } from "../plan/plan_types.ts";
import type { Residual } from "../step/residual.ts";
import { type Routes, Routing } from "./routing.ts";
import { routesOfToken } from "../../model/routes_of_token.ts";
import type { StepState } from "../step/step_state.ts";

/** One arena's routing workspace as JavaScript sees it. */
export interface RoutingViews {
  readonly plan: RoutingWorkspacePlan;
  /** [chunkTokens, experts]. */
  readonly logits: Float32Array;
  readonly routes: Routes;
  /** [chunkTokens]. */
  readonly sharedWeights: Float32Array;
  readonly gathered: Activations;
}

export class ExpertRoutes {
  readonly #state: StepState;
  readonly #routing: Routing | null;
  /** Per arena; empty where no layer has experts. */
  readonly #views: readonly RoutingViews[];

  /** memories: this rank's, one per arena; ids: of the step's tokens, or null. */
  constructor(
    state: StepState,
    memories: readonly WebAssembly.Memory[],
    ids: Int32Array | null,
  ) {
    const { plan, config: { experts } } = state;
    this.#state = state;
    this.#routing = experts && new Routing(experts, plan.chunkTokens, ids);
    this.#views = memories.flatMap((memory, arena) => routingViews(state, memory, arena));
  }

  /** Of the arena that the walk is in. */
  get views(): RoutingViews {
    return this.#views[this.#state.arena];
  }

  /** Where each expert's routes begin, then companions', and where the last one's end. */
  get starts(): ArrayLike<number> {
    check(this.#routing !== null, "a model with experts has routes");
    return this.#routing.starts;
  }

  /** Lets the step's tokens choose by what the router makes of x. */
  choose(block: Chooser, x: Activations): void {
    const { kernels, n } = this.#state;
    const { plan, logits, routes } = this.views;
    check(this.#routing !== null, "a model with experts has routes");
    project(kernels, block.router, x, n, plan.logits, block.router.rowCount);
    this.#routing.route(logits, n, block, routes);
  }

  /** What was chosen, by token: `Routing.writeByToken`. */
  writeByToken({ scales }: Chooser, experts: Uint32Array, weights: Float32Array): void {
    check(this.#routing !== null, "a model with experts has routes");
    this.#routing.writeByToken(this.#state.n, scales, experts, weights);
  }

  /** The same before attention, by a norm of the residual stream that experts read, too. */
  chooseEarly(block: Experts, residual: Residual, norm: Norm): void {
    const { space, inputs: { early }, n } = this.#state;
    residual.normalize(space.residual, norm, space.early, n);
    this.choose(block, early);
  }

  /** What was made so before attention. */
  readEarly({ readsQ8: wantsQ8 }: Experts): Activations {
    const { kernels, inputs: { early }, n, config: { embeddingLength: d } } = this.#state;
    if (wantsQ8) quantize(kernels, early, n, d);
    return early;
  }

  /** The same by a norm of the residual stream that only the router reads, over √d. */
  chooseApart(block: Experts, residual: Residual, norm: Norm): void {
    const { kernels, n, fractions } = this.#state;
    const { plan, logits, routes } = this.views;
    check(this.#routing !== null, "a model with experts has routes");
    const count = block.router.rowCount;
    project(kernels, block.router, residual.read(norm, false), n, plan.logits, count);
    kernels.scale_f32(plan.logits, count, n, count, fractions.routerScale);
    this.#routing.route(logits, n, block, routes);
  }

  /** The number of the route by which token t goes to expert e; -1: it does not. */
  routeOf(e: number, t: number): number {
    const { starts } = this;
    const { rows } = this.views.routes;
    for (let route = starts[e]; route < starts[e + 1]; route++) if (rows[route] === t) return route;
    return -1;
  }

  /** The unit on disk that will be wanted after an expert's; -1: nobody knows. */
  unitAfter({ experts, shared, apart }: Experts, index: number): number {
    const { starts } = this;
    for (let next = index + 1; next < experts.length; next++) {
      const each = experts[next];
      const isChosen = starts[next + 1] > starts[next];
      if (isChosen && each.kind === "streamed" && each.count > 0) return each.unit;
    }
    // Of Gemma 4 the next layer's comes before its other experts, by a number that nobody knows.
    if (shared?.kind === "streamed") return apart === null ? shared.unit : -1;
    const last = experts[experts.length - 1];
    if (!this.needNearlyAll || last.kind !== "streamed") return -1;
    // The next layer's first. Behind a layer's experts is the one that all tokens use, if any.
    return last.unit + (shared === null ? 1 : 2);
  }

  /** So many tokens choose that few experts are left out. */
  get needNearlyAll(): boolean {
    const { n, config: { experts } } = this.#state;
    if (experts === null || this.#routing === null) return false;
    return n * this.#routing.usedCount >= experts.count;
  }

  /** `count` tokens of x from route `first` on side by side, in the forms that are read. */
  gather(
    x: Activations,
    { readsQ8, readsFloats }: { readonly readsQ8: boolean; readonly readsFloats: boolean },
    first: number,
    count: number,
  ): Activations {
    const { kernels, n, config: { embeddingLength, experts } } = this.#state;
    if (count === n) return x;
    const d = experts?.latentLength ?? embeddingLength;
    const { gathered: to, plan } = this.views;
    const rows = plan.rows + first * 4;
    if (readsQ8) kernels.gather_q8(x.q8, n, d, rows, count, to.q8);
    if (readsFloats) {
      kernels.gather_rows_f32(x.f32, x.stride, n, rows, count, to.f32, to.stride, d);
    }
    return to;
  }

  /** The same as floats and q8 tiles, each multiplied by its route's weight. */
  gatherWeighed(x: Activations, first: number, count: number): Activations {
    const { kernels, n, config: { embeddingLength: d } } = this.#state;
    const { gathered: to, plan } = this.views;
    const rows = plan.rows + first * 4;
    kernels.gather_rows_f32(x.f32, x.stride, n, rows, count, to.f32, to.stride, d);
    kernels.scale_rows_f32(to.f32, to.stride, plan.weights + first * 4, count, d);
    quantize(kernels, to, count, d);
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
  const routes = chunkTokens * routesOfToken(experts);
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
