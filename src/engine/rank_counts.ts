/** What all ranks have counted since they started. Knows where; counts nothing itself. */
import type { Timings } from "../llm/types.ts";
import {
  ASKED_AHEAD,
  CACHE_HITS,
  CACHE_MISSES,
  COUNT_FIELDS,
  countsView,
  DISK_BYTES,
  DISK_READS,
  DISK_WAIT_MS,
  NEEDED_AHEAD,
  SKIPPED_BYTES,
  SKIPPED_NEURONS,
} from "../rank/counts.ts";
import type { RankSetup } from "../rank/open_rank.ts";

export class RankCounts {
  readonly #views: readonly Float64Array[];
  readonly #isStreamed: boolean;

  constructor({ plans, memories, streams }: RankSetup) {
    this.#views = plans.map((plan, rank) => countsView(plan, memories[rank][0]));
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
}
