/**
 * What a rehearsal of predictors left in all ranks' memories: reads it, and tells the ranks what
 * was decided. Knows ranks' plans; runs no steps.
 */
import { matrixBytes } from "../rank/plan/place_matrix.ts";
import type { RankPlan } from "../rank/plan/plan_types.ts";
import {
  predictorPlan,
  RECALL_FIRED,
  RECALL_FOUND,
  RECALL_PREDICTED,
  RECALL_TRUSTED,
  recallView,
} from "../rank/neurons/predictors.ts";
import { RECALL_FIELDS } from "../rank/plan/plan_workspace.ts";
import { lengthOf } from "../rank/plan/shard.ts";
import type { RehearsedPredictor } from "./predictor_choice.ts";
import type { PredictorChoice } from "./types.ts";

export class Rehearsal {
  readonly #plans: readonly RankPlan[];
  readonly #expertsUsed: number;
  /** [rank]. */
  readonly #views: readonly Float64Array[];

  /** memories: [rank][arena]; expertsUsed: by a token of a mixture. */
  constructor(
    plans: readonly RankPlan[],
    memories: readonly (readonly WebAssembly.Memory[])[],
    expertsUsed: number,
  ) {
    this.#plans = plans;
    this.#expertsUsed = expertsUsed;
    this.#views = plans.map((plan, rank) => recallView(plan, memories[rank][0]));
  }

  /** Forgets what was counted, and trusts no predictor. */
  clear(): void {
    for (const view of this.#views) view.fill(0);
  }

  /** What `tokens` tokens showed, layer by layer; layers without a predictor are left out. */
  results(tokens: number): RehearsedPredictor[] {
    const layers = this.#plans[0].layers.map((_, layer) => layer);
    return layers.filter((layer) => predictorPlan(this.#plans[0].layers[layer]) !== null)
      .map((layer) => {
        const [fired, found, predicted] = [RECALL_FIRED, RECALL_FOUND, RECALL_PREDICTED]
          .map((place) => this.#sum(layer, place));
        const { neurons, ...used } = this.#usedByToken(layer);
        return { layer, fired, found, predicted, possible: neurons * tokens, ...used };
      });
  }

  /** Neurons and bytes of a layer that a token has to do with, on all ranks. */
  #usedByToken(layer: number) {
    let [neurons, predictorBytes, gateBytes] = [0, 0, 0];
    let areGatesOnDisk = false;
    for (const plan of this.#plans) {
      const { feedForward } = plan.layers[layer];
      if (feedForward === null) continue;
      const isMixture = feedForward.kind === "experts";
      const blocks = isMixture ? feedForward.experts : [feedForward];
      const share = isMixture ? this.#expertsUsed / blocks.length : 1;
      for (const block of blocks) {
        const { predictor } = block;
        if (predictor === null) continue;
        const { gate, up } = block.kind === "dense" ? block : block.staged;
        neurons += share * lengthOf(up.rows);
        predictorBytes += share * (matrixBytes(predictor.first) + matrixBytes(predictor.second));
        gateBytes += gate === null ? 0 : share * matrixBytes(gate);
        if (block.kind === "streamed" && block.gate === null) areGatesOnDisk = true;
      }
    }
    return { neurons, predictorBytes, gateBytes, areGatesOnDisk };
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
