/**
 * Credits what a rank counts to its layers: whoever counts adds to sums of the rank, and at a
 * layer's end what has come to them belongs to that layer. Neurons that are asked for ahead count
 * for the layer that asks. Knows nothing of what is counted.
 */
import { COUNT_FIELDS, HOT_NEURONS, NEURONS } from "../plan/counts.ts";
import { countsView, layerCountsView } from "./counts_view.ts";
import type { DensePlan, LayerPlan, RankPlan, StreamedPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";

export class LayerTally {
  readonly #counts: Float64Array;
  readonly #layers: readonly Float64Array[];
  readonly #before = new Float64Array(COUNT_FIELDS);

  /** memory: the rank's first arena. */
  constructor(plan: RankPlan, memory: WebAssembly.Memory) {
    this.#counts = countsView(plan, memory);
    this.#layers = plan.layers.map((_, layer) => layerCountsView(plan, memory, layer));
  }

  /** What was counted since the last layer's end belongs to none. */
  begin(): void {
    this.#before.set(this.#counts);
  }

  /** Ends a layer's block, in which so many neurons were up for computing. */
  end(layer: number, neurons: number, hot: number): void {
    const counts = this.#counts;
    const before = this.#before;
    const row = this.#layers[layer];
    counts[NEURONS] += neurons;
    counts[HOT_NEURONS] += hot;
    for (let i = 0; i < COUNT_FIELDS; i++) {
      row[i] += counts[i] - before[i];
      before[i] = counts[i];
    }
  }
}

/**
 * Own neurons of a layer that n tokens ask for: those of a mixture that they choose. Takes no
 * object, which would be one a layer and token where V8 does not inline the call.
 */
export function neuronsAsked({ feedForward, steppedNeurons }: LayerPlan, n: number): number {
  if (feedForward === null) return 0;
  if (feedForward.kind === "experts") {
    const { experts, shared, usedCount } = feedForward;
    return n * (usedCount * widthOf(experts[0]) + (shared === null ? 0 : widthOf(shared)));
  }
  let width = widthOf(feedForward);
  for (const { block, tokens } of steppedNeurons) {
    if (n >= tokens.start && n < tokens.end) width += widthOf(block);
  }
  return n * width;
}

function widthOf(block: DensePlan | StreamedPlan): number {
  return lengthOf((block.kind === "dense" ? block : block.staged).up.rows);
}
