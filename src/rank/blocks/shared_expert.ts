/** The expert that every token uses, on one rank: as much as its own gate says, or as a number. */
import type { Dense, Experts, Streamed } from "../bound/bound_blocks.ts";
import type { ExpertRoutes } from "../neurons/expert_routes.ts";
import { type Activations, multiply } from "../bound/matrix.ts";
import { activateNeurons } from "../neurons/neurons.ts";
import type { Observer } from "../step/observer.ts";
import type { Residual } from "../step/residual.ts";
import { addFired, type SparseBlock } from "../neurons/sparse_block.ts";
import type { Streaming } from "../stream/streaming.ts";
import type { StepState } from "../step/step_state.ts";

export class SharedExpert {
  readonly #state: StepState;
  readonly #in: {
    readonly residual: Residual;
    readonly routes: ExpertRoutes;
    readonly sparse: SparseBlock | null;
    readonly observer: Observer | null;
    readonly streaming: Streaming | null;
  };

  constructor(
    state: StepState,
    by: {
      residual: Residual;
      routes: ExpertRoutes;
      sparse: SparseBlock | null;
      observer: Observer | null;
      streaming: Streaming | null;
    },
  ) {
    this.#state = state;
    this.#in = by;
  }

  /** partial += its share, of x. */
  add(block: Experts, all: Dense | Streamed, x: Activations): void {
    const { kernels, inputs, space, n, arena, config } = this.#state;
    const { residual, routes, sparse, observer, streaming } = this.#in;
    if (all.kind === "streamed" && all.count === 0) return residual.addBias(all.staged.down);
    const shared = all.kind === "dense" ? all : streaming!.bring(all, arena, -1, false);
    if (shared.up.rowCount === 0) {
      residual.add(shared.down, inputs.hidden);
      return;
    }
    const { plan, sharedWeights } = routes.views;
    const weight = config.experts?.sharedWeight ?? 1;
    const weights = block.sharedGate === null && weight === 1 ? 0 : plan.sharedWeights;
    if (block.sharedGate !== null) {
      multiply(kernels, block.sharedGate, x, n, weights, 1);
      for (let t = 0; t < n; t++) sharedWeights[t] = 1 / (1 + Math.exp(-sharedWeights[t]));
    } else if (weights !== 0) sharedWeights.fill(weight, 0, n);
    const attempt = addFired(sparse, shared, x, n, space.tokens, weights);
    if (attempt === "added") return;
    const hidden = activateNeurons(this.#state, shared, x, n, attempt === "gated");
    observer?.seeShared(shared, hidden);
    const { f32, stride } = hidden;
    if (weights !== 0) kernels.scale_rows_f32(f32, stride, weights, n, shared.down.columnCount);
    residual.add(shared.down, hidden);
  }
}
