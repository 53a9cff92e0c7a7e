/**
 * What a model takes of memory by the plans of its ranks: the one account that `plan` prints, that
 * budgets are held against, and that loading then has. Knows no budget.
 */
import { bytesByKind, PAGE_BYTES } from "../memory/arena.ts";
import { matrixBytes } from "../rank/plan/place_matrix.ts";
import type { RankPlan, StreamedPlan } from "../rank/plan/plan_types.ts";
import {
  IO_WORKER_BYTES,
  KERNEL_READS_BYTES,
  NEURON_RECORD_BYTES,
  processBytes,
  SLOT_RECORD_BYTES,
} from "./calibration.ts";
import type { MemoryRegion, RankMemory } from "./plan_types.ts";
import { sum, total } from "./sums.ts";

export interface UsedBy {
  /** Blocks of neurons that the process keeps objects of. */
  readonly units: number;
  /** Threads that read a packed model; 0: none, or the kernel does. */
  readonly ioWorkers: number;
}

/** Memory of the whole process, were all of the context used. */
export function usedBytes(plans: readonly RankPlan[], by: UsedBy): number {
  return total(usedRegions(plans, by));
}

/** The same by what it is for. */
export function usedRegions(
  plans: readonly RankPlan[],
  { units, ioWorkers }: UsedBy,
): MemoryRegion[] {
  const arenas = plans.flatMap((plan) => plan.arenas);
  const { weights, slots, kv } = bytesByKind(arenas);
  const blocks = plans.flatMap(streamedBlocks);
  const gates = sum(blocks.map(({ gate }) => gate === null ? 0 : matrixBytes(gate)));
  const factors = sum(blocks.map(({ factorsSizeBytes }) => factorsSizeBytes));
  const staged = sum(
    arenas.flatMap(({ regions }) =>
      regions.filter(({ name }) => name === "stage" || name === "raw").map((each) => each.sizeBytes)
    ),
  );
  const places = sum(plans.map(placesBytes));
  const pages = sum(arenas.map(({ pageCount }) => pageCount * PAGE_BYTES));
  const isStreamed = plans.some(({ stream }) => stream);
  const regions: MemoryRegion[] = [
    { name: "weights", bytes: weights - gates - factors },
    { name: "gates", bytes: gates },
    { name: "factors", bytes: factors },
    { name: "context", bytes: kv },
    // And what is left of the last page of each arena.
    { name: "workspace", bytes: pages - weights - slots - kv - staged },
    { name: "slots", bytes: slots + places },
    { name: "bookkeeping", bytes: bookkeepingBytes(plans, blocks) },
    { name: "staging", bytes: staged - places },
    {
      name: "io",
      bytes: ioWorkers * IO_WORKER_BYTES || (isStreamed ? plans.length * KERNEL_READS_BYTES : 0),
    },
    { name: "brought", bytes: sum(plans.map(({ gpu }) => gpu?.broughtBytes ?? 0)) },
    { name: "process", bytes: processBytes(units) },
  ];
  return regions.filter(({ bytes }) => bytes > 0);
}

/** Arenas of each rank, and the slots in them. */
export function usedByRanks(plans: readonly RankPlan[]): RankMemory[] {
  return plans.map(({ arenas, workspaces, layers, stream }) => ({
    bytes: sum(arenas.map(({ pageCount }) => pageCount * PAGE_BYTES)),
    arenas: arenas.map((_, arena) => {
      const own = layers.flatMap((layer, index) => layer.arena === arena ? [index] : []);
      return {
        firstLayer: own[0] ?? 0,
        endLayer: (own.at(-1) ?? -1) + 1,
        slots: workspaces[arena].stream?.slotCount ?? 0,
        hotClusters: stream?.hotClusters ?? [],
      };
    }),
  }));
}

/** The blocks of a rank whose neurons come from the disk. */
function streamedBlocks({ layers }: RankPlan): StreamedPlan[] {
  return layers.flatMap(({ feedForward }) => {
    if (feedForward === null || feedForward.kind === "dense") return [];
    if (feedForward.kind === "streamed") return [feedForward];
    const { experts, shared } = feedForward;
    const blocks = shared === null ? experts : [...experts, shared];
    return blocks.filter((block) => block.kind === "streamed");
  });
}

/** Of the stage, what keeps whole units: but one place, through which units pass. */
function placesBytes({ stream, workspaces }: RankPlan): number {
  if (!stream) return 0;
  return (stream.stagePlaces - 1) * sum(workspaces.map((each) => each.stream?.placeBytes ?? 0));
}

/** What caches keep outside of arenas. */
function bookkeepingBytes(plans: readonly RankPlan[], blocks: readonly StreamedPlan[]): number {
  const slots = sum(
    plans.flatMap(({ workspaces }) => workspaces.map(({ stream }) => stream?.slotCount ?? 0)),
  );
  if (slots === 0) return 0;
  const neurons = sum(blocks.map(({ neurons: { start, end } }) => end - start));
  return neurons * NEURON_RECORD_BYTES + slots * SLOT_RECORD_BYTES;
}
