/** What `plan` prints as JSON. */
import { check } from "../../base/check.ts";
import type { GpuDecision, PlannedModel } from "../../llm/mod.ts";
import type { MachineProfile, MemoryPlan, PlanRefusal } from "../../planner/mod.ts";

export interface PlanReportInput {
  readonly modelPath: string;
  readonly budgetBytes: number;
  readonly profile: MachineProfile;
  readonly gpu: GpuDecision;
  readonly planned: PlannedModel;
  /** How a file that is not packed is run, whatever the budget; null: it is packed. */
  readonly whole: MemoryPlan | null;
}

export type PlanReport = ReturnType<typeof createPlanReport>;
/** A plan in the words of the command line. */
export type PlanFields = ReturnType<typeof planFields>;

/**
 * The plan of the file as it is; of one that must be packed first `fits` is false, and `packed` is
 * what packing would give.
 */
export function createPlanReport(input: PlanReportInput) {
  const { modelPath, budgetBytes, profile, gpu, planned: { plan, isDirect }, whole } = input;
  const asItIs = whole ?? madePlan(plan);
  return {
    model: modelPath,
    budget_bytes: budgetBytes,
    fits: asItIs.totalBytes <= budgetBytes,
    ...planFields(asItIs, whole === null && isDirect),
    packed: whole !== null && plan.kind === "plan" && plan.way !== "resident"
      ? planFields(plan, isDirect)
      : null,
    gpu: {
      runs_on: gpu.reason,
      expected_decode_tps: gpu.expectedDecodeTps,
      // Of a packed file; a plain one is planned as if no GPU were.
      is_beside_packed: whole === null && gpu.parts.length > 0,
    },
    profile: { measured_at: profile.measuredAt, machine: profile.machine },
  };
}

/** Refusals are errors before anything is reported. */
function madePlan(plan: MemoryPlan | PlanRefusal): MemoryPlan {
  check(plan.kind === "plan", "what is reported is a plan");
  return plan;
}

function planFields(plan: MemoryPlan, isReadPastFileCache: boolean) {
  const { expected } = plan;
  return {
    way: plan.way,
    total_bytes: plan.totalBytes,
    regions: plan.regions.filter(({ bytes }) => bytes > 0),
    ranks: plan.ranks.map(({ bytes, arenas }) => ({
      bytes,
      arenas: arenas.map(({ firstLayer, endLayer, slots, hotClusters }) => ({
        layers: [firstLayer, endLayer],
        slots,
        hot_clusters: hotClusters,
      })),
    })),
    slot_bytes: plan.slotBytes,
    slots: plan.slots,
    resident_share: plan.residentShare,
    hot_fraction: plan.hotFractions[0],
    io_workers: plan.ioWorkers,
    read_bytes: plan.readBytes,
    reads_gates_first: expected.readsGatesFirst,
    reads_past_file_cache: isReadPastFileCache,
    merge_gap_bytes: plan.mergeGapBytes,
    chunk_tokens: plan.chunkTokens,
    firing_rates: plan.rates,
    expected_decode_tps: expected.tokensPerSecond,
    expected_prefill_tps: plan.prefillTokensPerSecond,
    expected_hit_rate: expected.hitRate,
    disk_reads_per_token: expected.diskReads,
    disk_bytes_per_token: expected.diskBytes,
    memory_bytes_per_token: expected.memoryBytes,
    firing_neurons_per_token: expected.firingNeurons,
    ms: expected.parts,
    bottleneck: expected.bottleneck,
  };
}
