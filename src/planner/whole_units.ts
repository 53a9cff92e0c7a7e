/**
 * The plan of a packed model whose neurons all fire: its units come as a whole. A dense model keeps
 * those of its first layers, since every token needs all; a mixture has places for as many as there
 * is room for, and what was used last stays (unit_places.ts of src/rank).
 *
 *   places = (budget − fixed) / bytes of a unit        fixed: as in plan_memory.ts
 *   hits   = share of the units that have a place      if experts are chosen evenly: more if not;
 *            of experts alone, where what every token needs is kept beside them
 *   disk   = bytes of the used units that have none / sequential rate
 *   copy   = their bytes, read and written once more, to where they lie in order
 *   token  = fixed + joins + max(neurons + copy, disk)             dense: the next one is known
 *          = fixed + joins + neurons + copy + disk                 experts: chosen in their layer
 */
import { divCeil } from "../base/check.ts";
import { GiB, MiB } from "../base/units.ts";
import {
  ARENA_SLACK_BYTES,
  ASSUMED_CONTEXT_TOKENS,
  DENSE_SHARE_OF_READ,
  IO_WORKER_BYTES,
  JOIN_SECONDS,
  KERNEL_READS_BYTES,
  processBytes,
} from "./calibration.ts";
import { readGBps } from "./machine_profile.ts";
import type { FixedModel, UnitSums } from "./model_bytes.ts";
import type {
  ExpectedDecode,
  MemoryPlan,
  MemoryRegion,
  PlanInput,
  PlanRefusal,
} from "./plan_types.ts";
import { requestSeconds, sum, total } from "./sums.ts";

/** One sequential read, and what is under way at once in each arena: choose_units.ts of src/llm. */
const PIECE_BYTES = MiB;
const UNDER_WAY_BYTES = 16 * MiB;

/** As many threads keep a disk busy with long reads. */
const WORKERS_MIN = 4;

export interface WholeUnitsInput {
  readonly input: PlanInput;
  readonly sums: UnitSums;
  /** Neurons of the units that a token needs. */
  readonly firing: number;
  /** Tokens of a prompt's piece, and threads that read, that may be chosen. */
  readonly chunks: readonly number[];
  readonly workers: readonly number[];
  /** What the model takes that is in memory as a whole. */
  readonly residentBytes: number;
  /** What is always in memory with pieces of so many tokens. */
  readonly fixedOf: (chunkTokens: number) => FixedModel;
  /** Tokens a second of a prompt when so much of the units is in memory. */
  readonly prefill: (chunkTokens: number, residentShare: number) => number;
}

interface Choice extends WholeUnitsInput {
  readonly chunkTokens: number;
  readonly fixed: FixedModel;
  readonly ioWorkers: number;
}

/** What answers a typical request soonest, or the smallest budget for which there is a plan. */
export function planWholeUnits(by: WholeUnitsInput): MemoryPlan | PlanRefusal {
  const { chunks, workers, fixedOf } = by;
  const ioWorkers = workers.find((count) => count === 0 || count >= WORKERS_MIN) ?? workers.at(-1)!;
  const plans = chunks.map((chunkTokens) =>
    planOf({ ...by, chunkTokens, ioWorkers, fixed: fixedOf(chunkTokens) })
  );
  return plans.reduce((a, b) => {
    if (b.kind === "refusal") return a.kind === "plan" || a.neededBytes <= b.neededBytes ? a : b;
    return a.kind === "refusal" || requestSeconds(b) < requestSeconds(a) ? b : a;
  });
}

function planOf(by: Choice): MemoryPlan | PlanRefusal {
  const { input: { budgetBytes, units }, chunkTokens, ioWorkers } = by;
  for (let arenas = 1;; arenas++) {
    const regions = regionsOf(by, arenas, 0);
    const unitBytes = unitBytesOf(by);
    const left = Math.floor((budgetBytes - total(regions)) / unitBytes);
    if (left < 1) {
      const neededBytes = Math.ceil(total(regions) + unitBytes);
      return { kind: "refusal", budgetBytes, neededBytes, residentBytes: by.residentBytes };
    }
    const places = Math.min(left, units.length);
    const ranks = ranksOf(by, arenas, places);
    if (ranks.some(({ bytes }) => bytes > arenas * (4 * GiB - ARENA_SLACK_BYTES))) continue;
    const residentShare = places / units.length;
    const all = regionsOf(by, arenas, places);
    return {
      kind: "plan",
      way: "units",
      ...{ budgetBytes, ranks, residentShare, chunkTokens, ioWorkers },
      ...{ regions: all, totalBytes: total(all) },
      ...{ slotBytes: unitBytes, slots: places, hotFractions: [0] },
      ...{ readBytes: PIECE_BYTES, mergeGapBytes: 0 },
      prefillTokensPerSecond: by.prefill(chunkTokens, residentShare),
      expected: expectWholeUnits(by, { residentShare }),
      rates: "all",
    };
  }
}

/** A unit in memory, on average. */
function unitBytesOf({ input: { units }, sums }: Choice): number {
  const { neurons, gateBytes, restPerNeuron, factorsBytes } = sums;
  return Math.ceil((gateBytes + restPerNeuron * neurons + factorsBytes) / units.length);
}

function regionsOf(by: Choice, arenas: number, places: number): MemoryRegion[] {
  const { input: { units }, fixed: { ranks }, sums, ioWorkers } = by;
  const over = (of: (rank: typeof ranks[number]) => number) => sum(ranks.map(of));
  return [
    { name: "weights", bytes: over(({ weights }) => weights) },
    { name: "factors", bytes: sums.factorsBytes },
    { name: "context", bytes: over(({ context }) => context) },
    { name: "workspace", bytes: arenas * over(({ workspace }) => workspace) },
    { name: "slots", bytes: places * unitBytesOf(by) },
    { name: "staging", bytes: ranks.length * arenas * UNDER_WAY_BYTES },
    { name: "io", bytes: ioWorkers * IO_WORKER_BYTES || ranks.length * KERNEL_READS_BYTES },
    { name: "process", bytes: processBytes(units.length) },
  ];
}

/** Of everything that belongs to units each rank has its even share. */
function ranksOf(by: Choice, arenas: number, places: number): MemoryPlan["ranks"] {
  const { input: { model: { config: { blockCount } } }, fixed, sums } = by;
  const count = fixed.ranks.length;
  const shared = (sums.factorsBytes + places * unitBytesOf(by)) / count + arenas * UNDER_WAY_BYTES;
  return fixed.ranks.map(({ weights, context, workspace }) => ({
    bytes: Math.ceil(weights + context + arenas * workspace + shared),
    arenas: Array.from({ length: arenas }, (_, arena) => ({
      firstLayer: Math.floor(blockCount * arena / arenas),
      endLayer: Math.floor(blockCount * (arena + 1) / arenas),
      slots: divCeil(places, arenas * count),
      hotClusters: [0],
    })),
  }));
}

/** What of a model's units has room in memory. */
export interface KeptUnits {
  /** Share of them, be they large or small. */
  readonly residentShare: number;
  /** Those that every token needs are among them. Left out: they come as the others do. */
  readonly keepsCommon?: boolean;
}

/** Bytes that come from the disk: for a token that is decoded, and of all units. */
export function missingBytes(
  { bundleBytes, usedBundleBytes, common }: UnitSums,
  unitCount: number,
  { residentShare, keepsCommon = false }: KeptUnits,
): { readonly ofToken: number; readonly ofAll: number } {
  const kept = keepsCommon ? common : { units: 0, bundleBytes: 0 };
  const others = Math.max(1, unitCount - kept.units);
  const share = Math.min(1, Math.max(0, (residentShare * unitCount - kept.units) / others));
  const missing = (bytes: number) => Math.max(0, bytes - kept.bundleBytes) * (1 - share);
  return { ofToken: missing(usedBundleBytes), ofAll: missing(bundleBytes) };
}

/** What to expect where so much of the units has room. */
export function expectWholeUnits(
  { input, sums, fixed, firing }: Pick<Choice, "input" | "sums" | "fixed" | "firing">,
  kept: KeptUnits,
): ExpectedDecode {
  const { profile, threads, model: { config } } = input;
  const rate = readGBps(profile, threads) * 1e9;
  const dense = rate * DENSE_SHARE_OF_READ;
  const contextBytes = sum(fixed.ranks.map(({ context }) => context)) *
    Math.min(1, ASSUMED_CONTEXT_TOKENS / input.contextLength);
  const neuronBytes = sums.usedGateBytes + sums.usedRestBytes + sums.usedFactorsBytes;
  const diskBytes = missingBytes(sums, input.units.length, kept).ofToken;
  const parts = {
    fixed: (fixed.readPerToken + contextBytes) / dense,
    gates: 0,
    neurons: neuronBytes / dense,
    joins: (2 * config.blockCount + 1) * JOIN_SECONDS,
    cache: 2 * diskBytes / rate,
    ioCpu: 0,
    ahead: 0,
    diskWait: diskBytes / profile.disk.sequentialBytesPerS,
  };
  if (config.experts === null) {
    parts.diskWait = Math.max(0, parts.diskWait - parts.neurons - parts.cache);
  }
  const seconds = sum(Object.values(parts));
  const memory = parts.fixed + parts.neurons + parts.cache;
  const most = Math.max(memory, parts.diskWait, parts.joins);
  return {
    tokensPerSecond: 1 / seconds,
    hitRate: sums.usedBundleBytes === 0 ? 1 : 1 - diskBytes / sums.usedBundleBytes,
    readsGatesFirst: false,
    firingNeurons: firing,
    diskReads: diskBytes / PIECE_BYTES,
    diskBytes,
    memoryBytes: fixed.readPerToken + contextBytes + neuronBytes,
    parts: Object.fromEntries(
      Object.entries(parts).map(([name, part]) => [name, 1e3 * part]),
    ) as ExpectedDecode["parts"],
    bottleneck: most === memory ? "memory" : most === parts.joins ? "joins" : "disk",
  };
}
