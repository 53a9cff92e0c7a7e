/**
 * What a rehearsal of predictors left in all ranks' memories: reads it, and tells the ranks what
 * was decided. Knows ranks' plans; runs no steps.
 */
import type { MatrixPlan, RankPlan } from "../rank/plan_types.ts";
import {
  RECALL_FIRED,
  RECALL_FOUND,
  RECALL_PREDICTED,
  RECALL_TRUSTED,
  recallView,
} from "../rank/predictors.ts";
import { RECALL_FIELDS } from "../rank/plan_workspace.ts";
import { lengthOf } from "../rank/shard.ts";
import type { RehearsedPredictor } from "./predictor_choice.ts";
import type { PredictorChoice } from "./types.ts";

export class Rehearsal {
  readonly #plans: readonly RankPlan[];
  /** [rank]. */
  readonly #views: readonly Float64Array[];

  /** memories: [rank][arena]. */
  constructor(
    plans: readonly RankPlan[],
    memories: readonly (readonly WebAssembly.Memory[])[],
  ) {
    this.#plans = plans;
    this.#views = plans.map((plan, rank) => recallView(plan, memories[rank][0]));
  }

  /** Forgets what was counted, and trusts no predictor. */
  clear(): void {
    for (const view of this.#views) view.fill(0);
  }

  /** What `tokens` tokens showed, layer by layer; layers without a predictor are left out. */
  results(tokens: number): RehearsedPredictor[] {
    const layers = this.#plans[0].layers.map((_, layer) => layer);
    return layers.filter((layer) => this.#plans.some((plan) => hasPredictor(plan, layer)))
      .map((layer) => {
        const [fired, found, predicted] = [RECALL_FIRED, RECALL_FOUND, RECALL_PREDICTED]
          .map((place) => this.#sum(layer, place));
        let [neurons, predictorBytes, gateBytes] = [0, 0, 0];
        let areGatesOnDisk = false;
        for (const plan of this.#plans) {
          const { feedForward } = plan.layers[layer];
          if (feedForward.kind === "experts" || feedForward.predictor === null) continue;
          const { predictor } = feedForward;
          const { gate, up } = feedForward.kind === "dense" ? feedForward : feedForward.staged;
          neurons += lengthOf(up.rows);
          predictorBytes += bytesOf(predictor.first) + bytesOf(predictor.second);
          gateBytes += gate === null ? 0 : bytesOf(gate);
          if (feedForward.kind === "streamed" && feedForward.gate === null) areGatesOnDisk = true;
        }
        const possible = neurons * tokens;
        const bytes = { predictorBytes, gateBytes, areGatesOnDisk };
        return { layer, fired, found, predicted, possible, ...bytes };
      });
  }

  /** Tells all ranks; they read it in their next step. */
  decide(choices: readonly PredictorChoice[]): void {
    for (const view of this.#views) {
      for (const { layer, isUsed } of choices) {
        view[layer * RECALL_FIELDS + RECALL_TRUSTED] = isUsed ? 1 : 0;
      }
    }
  }

  #sum(layer: number, place: number): number {
    return this.#views.reduce((sum, view) => sum + view[layer * RECALL_FIELDS + place], 0);
  }
}

function hasPredictor({ layers }: RankPlan, layer: number): boolean {
  const { feedForward } = layers[layer];
  return feedForward.kind !== "experts" && feedForward.predictor !== null;
}

function bytesOf({ rows, rowStrideBytes }: MatrixPlan): number {
  return lengthOf(rows) * rowStrideBytes;
}
