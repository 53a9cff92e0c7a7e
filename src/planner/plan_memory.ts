/**
 * Decides how a model is run within a memory budget, and what speed to expect. There is no solver:
 * all ways, sizes of prompt pieces and numbers of reading threads that make sense are tried, and
 * what answers a typical request soonest is taken. So more memory is never slower.
 *
 *   fixed  = weights of no neuron + keys and values + workspace of each arena + factors of down
 *          + gates (way "gates") + tables of neurons + staging + reading threads + process
 *   slots  = (budget − fixed) / (slot + its record)
 *   hits, speed = expectations.ts
 *
 * Knows nothing of threads and files.
 */
import { divCeil } from "../base/check.ts";
import { GiB, MiB } from "../base/units.ts";
import { haveGates } from "../bundle/units.ts";
import { CLUSTER_SLOTS } from "../cache/neuron_cache.ts";
import { readsWhole } from "../model/layer_config.ts";
import {
  ARENA_SLACK_BYTES,
  IO_WORKER_BYTES,
  KERNEL_READS_BYTES,
  NEURON_RECORD_BYTES,
  PREDICTED_PER_ACTIVE,
  processBytes,
  SLOT_RECORD_BYTES,
  SLOTS_MIN_PER_ACTIVE,
  SLOTS_MIN_PER_RANK,
} from "./calibration.ts";
import { measuredWorkers, mergeGapBytes } from "./disk_speed.ts";
import { Expectations } from "./expectations.ts";
import type { UnitSums } from "./model_bytes.ts";
import { type ResidentLayout, residentLayout } from "./resident_layout.ts";
import { requestSeconds, sum, total } from "./sums.ts";
import { planWholeUnits } from "./whole_units.ts";
import type {
  ArenaSlots,
  ExpectedDecode,
  MemoryPlan,
  MemoryRegion,
  PlanInput,
  PlanRefusal,
} from "./plan_types.ts";

/** Tokens of a prompt's piece that are tried, from the fewest on. */
export const CHUNKS = [64, 128, 256, 512] as const;
/**
 * Tokens of a prompt at once, of a model in memory. More of them mean more for each expert: 256 are
 * 1.13 (of 32) to 1.34 times (of 128) as fast as 64; of dense models 128 are 1.02 to 1.1 times.
 */
export const CHUNK_TOKENS_RESIDENT = { dense: 64, mixture: 256 } as const;
/** Prompts read their neurons in pieces of about this, two a rank. */
const STAGED_BYTES = MiB;
/** Threads that read. */
const WORKERS_PER_CORE_MAX = 4;
/** A rank with more would have no machine to run on. */
const ARENAS_MAX = 64;

/** One way to spend the budget. */
interface Choice {
  readonly way: "gates" | "predictor";
  readonly chunkTokens: number;
  readonly ioWorkers: number;
  /** Of each rank. */
  readonly arenas: number;
}

interface Sized extends Choice {
  readonly slots: number;
  readonly expected: ExpectedDecode;
  readonly prefillTokensPerSecond: number;
}

/**
 * The plan, or the smallest budget for which there is one.
 * @throws {UnsupportedModelError} as `planRanks`.
 */
export function planMemory(input: PlanInput): MemoryPlan | PlanRefusal {
  return new MemoryPlanner(input).plan();
}

class MemoryPlanner {
  readonly #in: PlanInput;
  readonly #sums: UnitSums;
  readonly #expectations: Expectations;

  constructor(input: PlanInput) {
    this.#in = input;
    this.#expectations = new Expectations(input);
    this.#sums = this.#expectations.sums;
  }

  plan(): MemoryPlan | PlanRefusal {
    const { budgetBytes, contextLength, model: { config } } = this.#in;
    const chunk = readsWhole(config)
      ? contextLength
      : this.#in.chunkTokens ?? CHUNK_TOKENS_RESIDENT[config.experts ? "mixture" : "dense"];
    const resident = residentLayout(this.#in, chunk);
    const residentBytes = resident.totalBytes;
    if (residentBytes <= budgetBytes) return this.#residentPlan(resident, chunk);
    const { units, isSparse } = this.#in;
    if (units.length === 0) {
      return { kind: "refusal", budgetBytes, neededBytes: residentBytes, residentBytes };
    }
    if (isSparse !== false && !haveGates(units)) {
      return planMemory({ ...this.#in, isSparse: false });
    }
    if (this.#expectations.rates.source === "all") {
      return planWholeUnits({
        residentBytes,
        ...{ input: this.#in, sums: this.#sums, chunks: this.#chunks() },
        firing: this.#expectations.rates.perToken,
        workers: this.#workerCounts(),
        fixedOf: (chunkTokens) => this.#expectations.fixedOf({ way: "gates", chunkTokens }),
        prefill: (chunkTokens, share) => this.#expectations.prefill(chunkTokens, share),
      });
    }
    let best: Sized | null = null;
    for (const choice of this.#choices()) {
      const sized = this.#size(choice);
      if (sized !== null && (best === null || requestSeconds(sized) < requestSeconds(best))) {
        best = sized;
      }
    }
    if (best !== null) return this.#build(best);
    const neededBytes = Math.min(residentBytes, ...this.#choices().map((c) => this.#needed(c)));
    return { kind: "refusal", budgetBytes, neededBytes, residentBytes };
  }

  #choices(): Choice[] {
    const { budgetBytes, threads } = this.#in;
    const arenasMax = divCeil(budgetBytes / threads, 4 * GiB - ARENA_SLACK_BYTES) + 1;
    return this.#expectations.ways.flatMap((way) =>
      this.#chunks().flatMap((chunkTokens) =>
        this.#workerCounts().flatMap((ioWorkers) =>
          Array.from(
            { length: arenasMax },
            (_, more): Choice => ({ way, chunkTokens, ioWorkers, arenas: more + 1 }),
          )
        )
      )
    );
  }

  #chunks(): readonly number[] {
    const { chunkTokens } = this.#in;
    return chunkTokens === undefined ? CHUNKS : [chunkTokens];
  }

  /** More of them than a few per core only take the cores from each other: NOTES.md. */
  #workerCounts(): number[] {
    const { profile, kernelReads, ioWorkers } = this.#in;
    if (kernelReads) return [0];
    if (ioWorkers !== undefined) return [ioWorkers];
    const measured = measuredWorkers(profile.disk);
    const few = measured.filter((count) => count <= WORKERS_PER_CORE_MAX * profile.cores);
    return few.length > 0 ? few : measured.slice(0, 1);
  }

  /** What a choice comes to; null: it needs more than the budget. */
  #size(choice: Choice): Sized | null {
    const slots = this.#slots(choice);
    if (slots < this.#slotsMin(choice.way)) return null;
    const expectations = this.#expectations;
    const { rate } = expectations.bestHot(0, slots, [0, expectations.hotShareMax(0)]);
    const share = slots / this.#sums.neurons;
    return {
      ...choice,
      slots,
      expected: expectations.decode(choice.way, choice, { rate, share }),
      prefillTokensPerSecond: expectations.prefill(choice.chunkTokens, share),
    };
  }

  #slots(choice: Choice): number {
    const { budgetBytes } = this.#in;
    const slotBytes = this.#sums.slotBytes[choice.way];
    const regions = this.#regions(choice, 0);
    const left = Math.floor((budgetBytes - total(regions)) / (slotBytes + SLOT_RECORD_BYTES));
    return Math.min(this.#sums.neurons, left, this.#roomInArenas(choice));
  }

  /** Slots for which the arenas have room. */
  #roomInArenas(choice: Choice): number {
    const inArenas = total(
      this.#regions(choice, 0).filter(({ name }) => name !== "process" && name !== "io"),
    );
    const bytes = choice.arenas * this.#in.threads * (4 * GiB - ARENA_SLACK_BYTES) - inArenas;
    return Math.floor(bytes / (this.#sums.slotBytes[choice.way] + SLOT_RECORD_BYTES));
  }

  /** Fewer slots than the neurons of a layer that are used at once would be no cache. */
  #slotsMin(way: Choice["way"]): number {
    const used = this.#expectations.rates.perToken / this.#in.model.config.blockCount *
      (way === "predictor" ? PREDICTED_PER_ACTIVE : 1);
    const least = Math.max(SLOTS_MIN_PER_ACTIVE * used, SLOTS_MIN_PER_RANK * this.#in.threads);
    return Math.min(this.#sums.neurons, Math.ceil(least));
  }

  /** The smallest budget for a choice, with as many arenas as that takes. */
  #needed(choice: Choice): number {
    const slots = this.#slotsMin(choice.way);
    const regions = this.#regions(choice, slots);
    if (this.#roomInArenas(choice) >= slots) return Math.ceil(total(regions));
    if (choice.arenas === ARENAS_MAX) return Infinity;
    return this.#needed({ ...choice, arenas: choice.arenas + 1 });
  }

  /** Everything that takes memory, with so many slots. */
  #regions(choice: Choice, slots: number): MemoryRegion[] {
    const { way, arenas, ioWorkers } = choice;
    const sums = this.#sums;
    const { ranks } = this.#expectations.fixedOf(choice);
    const over = (of: (rank: typeof ranks[number]) => number) => sum(ranks.map(of));
    const slotBytes = sums.slotBytes[way];
    return [
      { name: "weights", bytes: over(({ weights }) => weights) },
      { name: "gates", bytes: way === "gates" ? sums.gateBytes : 0 },
      { name: "factors", bytes: sums.factorsBytes },
      { name: "context", bytes: over(({ context }) => context) },
      { name: "workspace", bytes: arenas * over(({ workspace }) => workspace) },
      { name: "slots", bytes: slots * slotBytes },
      {
        name: "bookkeeping",
        bytes: sums.neurons * NEURON_RECORD_BYTES + slots * SLOT_RECORD_BYTES,
      },
      { name: "staging", bytes: ranks.length * 2 * this.#stagedBytes() },
      { name: "io", bytes: ioWorkers * IO_WORKER_BYTES || ranks.length * KERNEL_READS_BYTES },
      { name: "process", bytes: processBytes(this.#in.units.length) },
    ];
  }

  /** Whole clusters of bundles. */
  #stagedBytes(): number {
    const cluster = CLUSTER_SLOTS * this.#sums.slotBytes.predictor;
    return divCeil(STAGED_BYTES, cluster) * cluster;
  }

  #build(sized: Sized): MemoryPlan {
    const { profile, budgetBytes } = this.#in;
    const { way, slots, ioWorkers } = sized;
    const regions = this.#regions(sized, slots);
    const hot = this.#expectations.hot(slots);
    const share = slots / this.#sums.neurons;
    const shares = hot.map(({ share }) => share);
    const readBytes = this.#sums.slotBytes[way];
    const gap = mergeGapBytes(profile.disk);
    const bundleBytes = this.#sums.slotBytes.predictor;
    return {
      kind: "plan",
      ...{ way, budgetBytes, regions, slots, ioWorkers, readBytes },
      totalBytes: total(regions),
      ranks: this.#ranks(sized, shares),
      slotBytes: this.#sums.slotBytes[way],
      residentShare: share,
      hotFractions: shares,
      mergeGapBytes: Math.max(1, Math.floor(gap / bundleBytes)) * bundleBytes,
      chunkTokens: sized.chunkTokens,
      prefillTokensPerSecond: sized.prefillTokensPerSecond,
      expected: this.#expectations.decode(way, sized, { rate: hot[0].rate, share }),
      rates: this.#expectations.rates.source,
    };
  }

  /** What each rank gets: of everything that belongs to neurons its even share. */
  #ranks(sized: Sized, hotShares: readonly number[]): MemoryPlan["ranks"] {
    const { threads, model: { config } } = this.#in;
    const { arenas, way } = sized;
    const { ranks } = this.#expectations.fixedOf(sized);
    const ownFixed = new Set<MemoryRegion["name"]>(["weights", "context", "workspace"]);
    const shared = this.#regions(sized, 0)
      .filter(({ name }) => !ownFixed.has(name) && name !== "process" && name !== "io");
    return ranks.map(({ weights, context, workspace }, rank) => {
      const cut = (whole: number, parts: number, part: number) =>
        Math.floor(whole * (part + 1) / parts) - Math.floor(whole * part / parts);
      const own = cut(sized.slots, threads, rank);
      const slots = Array.from({ length: arenas }, (_, arena): ArenaSlots => {
        const inArena = cut(own, arenas, arena);
        return {
          firstLayer: Math.floor(config.blockCount * arena / arenas),
          endLayer: Math.floor(config.blockCount * (arena + 1) / arenas),
          slots: inArena,
          hotClusters: hotShares.map((share) => Math.floor(share * inArena / CLUSTER_SLOTS)),
        };
      });
      const bytes = weights + context + arenas * workspace +
        cut(total(shared), threads, rank) +
        own * (this.#sums.slotBytes[way] + SLOT_RECORD_BYTES);
      return { bytes, arenas: slots };
    });
  }

  #residentPlan(resident: ResidentLayout, chunkTokens: number): MemoryPlan {
    return {
      kind: "plan",
      way: "resident",
      ...resident,
      ...{ budgetBytes: this.#in.budgetBytes, chunkTokens },
      ...{ slotBytes: 0, slots: 0, residentShare: 1, hotFractions: [1] },
      ...{ readBytes: 0, mergeGapBytes: 0 },
      prefillTokensPerSecond: this.#expectations.prefill(chunkTokens, 1),
      expected: this.#expectations.ofResident(chunkTokens),
      rates: this.#expectations.rates.source,
    };
  }
}
