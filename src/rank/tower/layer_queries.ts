/**
 * Learned queries of windows of what some of a tower's layers leave, a part of the rows that come
 * out after the other. Knows nothing of what makes parts of queries.
 */
import type { Control } from "../../memory/control.ts";
import type { LayerQueriesConfig } from "../../model/window_queries.ts";
import { bindNorm, type Norm } from "../bound/bound_norm.ts";
import type { Activations } from "../bound/matrix.ts";
import type { LayerQueriesPlan } from "../plan/plan_window_queries.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";
import { WindowQueries } from "./window_queries.ts";

/** What they are made of. */
export interface LayerQueriesInput {
  readonly control: Control;
  readonly residual: Residual;
  readonly configs: readonly LayerQueriesConfig[];
  readonly own: readonly LayerQueriesPlan[];
  readonly plans: readonly RankPlan[];
  /** [rank][arena] */
  readonly all: readonly (readonly WebAssembly.Memory[])[];
}

interface Part {
  readonly layer: number;
  readonly norm: Norm;
  readonly queries: WindowQueries;
}

export class LayerQueries {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #parts: readonly Part[];

  constructor(state: StepState, { residual, configs, own, ...input }: LayerQueriesInput) {
    // They lie in the same place, and what one has joined others may still read.
    const turns = { now: 0 };
    this.#state = state;
    this.#residual = residual;
    this.#parts = configs.map((config, i) => {
      const { norm, positions, ...plan } = own[i];
      const begin = { taken: config.taken, positions };
      const queries = new WindowQueries(state, { ...input, config, plan, begin, turns });
      return { layer: config.layer, norm: bindNorm(norm), queries };
    });
  }

  /**
   * Has what the layer leaves asked, where it is: `add` gets a part's number and its queries.
   * @returns false when the leader aborted the step.
   */
  run(layer: number, add: (part: number, queries: Activations) => void): boolean {
    for (const [part, { layer: own, norm, queries }] of this.#parts.entries()) {
      if (own !== layer) continue;
      this.#state.carryTo(this.#state.plan.outputArena);
      const { space, n } = this.#state;
      this.#residual.normalize(space.residual, norm, space.normed, n);
      const taken = queries.run(n);
      if (taken === null) return false;
      add(part, taken);
    }
    return true;
  }
}
