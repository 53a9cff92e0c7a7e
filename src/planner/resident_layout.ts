/** What a model takes that is in memory as a whole, by the plans that ranks would be loaded by. */
import { planRanks } from "../rank/plan/plan.ts";
import { wholeUnits } from "../rank/plan/plan_units.ts";
import { ranksOf } from "./model_bytes.ts";
import type { MemoryRegion, PlanInput, RankMemory } from "./plan_types.ts";
import { total } from "./sums.ts";
import { usedByRanks, usedRegions } from "./used_memory.ts";

export interface ResidentLayout {
  readonly regions: readonly MemoryRegion[];
  readonly totalBytes: number;
  readonly ranks: readonly RankMemory[];
  /** Threads that read a packed file. */
  readonly ioWorkers: number;
}

/** So many keep a disk busy with long reads; and one where there is no room for them. */
const READERS = [4, 1];

/** Within the budget if that can be, else the smallest. */
export function residentLayout(input: PlanInput, chunkTokens: number): ResidentLayout {
  const { model, tensors, contextLength, sequences, kvType = "auto" } = input;
  const { isSparse, ways, sizes, units, isPacked = false, budgetBytes } = input;
  const plans = planRanks(model, tensors, {
    ...{ contextLength, sequences, chunkTokens, kvType, isSparse, sizes },
    ...ranksOf(input, input.gpu?.neurons ?? []),
    // They are loaded before anybody knows whether they pay.
    hasPredictors: ways?.includes("predictor") ?? true,
    packed: isPacked ? wholeUnits(units) : undefined,
  });
  const ranks = usedByRanks(plans);
  const layouts = readersOf(input).map((ioWorkers) => {
    const regions = usedRegions(plans, { units: units.length, ioWorkers });
    return { regions, totalBytes: total(regions), ranks, ioWorkers };
  });
  return layouts.find(({ totalBytes }) => totalBytes <= budgetBytes) ?? layouts.at(-1)!;
}

function readersOf({ isPacked, kernelReads, ioWorkers }: PlanInput): readonly number[] {
  if (!isPacked || kernelReads) return [0];
  return ioWorkers === undefined ? READERS : [ioWorkers];
}
