/** The door to planning: how a model is run within a memory budget, and how fast. */
export { PREFILL_MACS_PER_THREAD, SLOT_RECORD_BYTES } from "./calibration.ts";
export { DEFAULT_PROFILE, machineId, PROFILE_VERSION } from "./machine_profile.ts";
export type { GpuProfile, MachineProfile, RandomReads } from "./machine_profile.ts";
export { profilePath, readGBps, readProfile, writeProfile } from "./machine_profile.ts";
export { modelUnits } from "./model_units.ts";
export { besideGpu } from "./firing_rates.ts";
export { expectLaidOut, type LaidOut } from "./expectations.ts";
export { CHUNK_TOKENS_RESIDENT, CHUNKS, planMemory } from "./plan_memory.ts";
export type {
  ArenaSlots,
  ExpectedDecode,
  MemoryPlan,
  MemoryRegion,
  PlanInput,
  PlanRefusal,
  RankMemory,
  Way,
} from "./plan_types.ts";
export { type UsedBy, usedByRanks, usedBytes, usedRegions } from "./used_memory.ts";
export { sum, total } from "./sums.ts";
