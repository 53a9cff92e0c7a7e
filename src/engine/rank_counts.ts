/** What all ranks have counted since they started. Knows where; counts nothing itself. */
import type { NeuronActivity, Timings } from "../llm/types.ts";
import {
  ASKED_AHEAD,
  CACHE_HITS,
  CACHE_MISSES,
  COUNT_FIELDS,
  DISK_BYTES,
  DISK_READS,
  DISK_WAIT_MS,
  HOT_NEURONS,
  NEEDED_AHEAD,
  NEURONS,
  SKIPPED_BYTES,
  SKIPPED_NEURONS,
} from "../rank/plan/counts.ts";
import { countsView, layerCountsView } from "../rank/step/counts_view.ts";
import type { RankSetup } from "../rank/open_rank.ts";

export class RankCounts {
  readonly #views: readonly Float64Array[];
  /** [layer][rank]. */
  readonly #layers: readonly (readonly Float64Array[])[];
  readonly #isSparse: boolean;
  readonly #isStreamed: boolean;

  constructor({ plans, memories, streams }: Pick<RankSetup, "plans" | "memories" | "streams">) {
    this.#views = plans.map((plan, rank) => countsView(plan, memories[rank][0]));
    this.#layers = plans[0].layers.map((_, layer) =>
      plans.map((plan, rank) => layerCountsView(plan, memories[rank][0], layer))
    );
    this.#isSparse = plans[0].isSparse;
    this.#isStreamed = streams !== null;
  }

  /** Sums over all ranks, [COUNT_FIELDS]. */
  all(): number[] {
    return Array.from(
      { length: COUNT_FIELDS },
      (_, place) => this.#views.reduce((sum, counts) => sum + counts[place], 0),
    );
  }

  /** What was counted since `before`; other requests' steps are in it, too. */
  since(before: readonly number[]): Partial<Timings> {
    const counted = this.all().map((sum, place) => sum - before[place]);
    const streamed = {
      hits: counted[CACHE_HITS],
      misses: counted[CACHE_MISSES],
      diskReads: counted[DISK_READS],
      diskBytes: counted[DISK_BYTES],
      diskWaitMs: counted[DISK_WAIT_MS],
      askedAhead: counted[ASKED_AHEAD],
      neededAhead: counted[NEEDED_AHEAD],
    };
    return {
      skippedNeurons: counted[SKIPPED_NEURONS],
      skippedBytes: counted[SKIPPED_BYTES],
      ...this.#isStreamed ? { streamed } : {},
    };
  }

  /**
   * What each layer's neurons have done since the ranks started. Any thread may look, at any time:
   * a layer that is being computed is as far as it is.
   */
  activity(): NeuronActivity {
    const layers = this.#layers.map((views) => {
      const sum = (field: number) => views.reduce((total, counts) => total + counts[field], 0);
      return {
        neurons: sum(NEURONS),
        hot: sum(HOT_NEURONS),
        skipped: sum(SKIPPED_NEURONS),
        cacheHits: sum(CACHE_HITS),
        cacheMisses: sum(CACHE_MISSES),
        diskReads: sum(DISK_READS),
        diskBytes: sum(DISK_BYTES),
      };
    });
    return { isSparse: this.#isSparse, isStreamed: this.#isStreamed, layers };
  }
}
