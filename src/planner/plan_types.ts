/** What the planner is asked, and what it answers: plain data. */
import type { RatedUnit } from "./firing_rates.ts";
import type { MachineProfile } from "./machine_profile.ts";
import type { GgufTensor } from "../gguf/types.ts";
import type { ModelDescription } from "../model/types.ts";
import type { GpuOptions } from "../rank/plan/plan_options.ts";
import type { KernelSizes } from "../rank/plan/plan_workspace.ts";
import type { KvType } from "../rank/plan/plan_types.ts";
import type { FiringStats } from "../stats/mod.ts";

export interface PlanInput {
  readonly model: ModelDescription;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** How neurons lie in the packed file, or would. */
  readonly units: readonly RatedUnit[];
  /** The file is packed: what is in memory as a whole has been read as units. Default false. */
  readonly isPacked?: boolean;
  /** Rows of codebooks' types are written out, of a plain file. Default false. */
  readonly writesOut?: boolean;
  /** Most memory that the whole process may take. */
  readonly budgetBytes: number;
  /** Ranks: threads that compute. */
  readonly threads: number;
  /** What a GPU has of a packed model beside them; left out: nothing. Its time is not expected. */
  readonly gpu?: GpuOptions;
  readonly contextLength: number;
  /** Requests at a time, of so many keys and values; left out: 1. */
  readonly sequences?: number;
  readonly kvType?: KvType | "auto";
  readonly profile: MachineProfile;
  /** Predicted neurons for each that fires; left out: nobody has counted. */
  readonly predictedPerActive?: number;
  /** The kernel reads for the ranks, no threads: kernel_queue.ts of src/io. Default false. */
  readonly kernelReads?: boolean;
  /** Threads that read; left out: as many as pay. */
  readonly ioWorkers?: number;
  /** Tokens of a prompt that are computed at once; left out: as many as pay. */
  readonly chunkTokens?: number;
  /** Counts of this model's neurons; null: what the units say, or what such models are like. */
  readonly stats: FiringStats | null;
  /** What kernels say they need. */
  readonly sizes: KernelSizes;
  /** False: every neuron is computed. */
  readonly isSparse?: boolean;
  /** Whether gates are read before the rest; left out: where that is faster. */
  readonly readsGatesFirst?: boolean;
  /** Ways that may be chosen, where predictors work; left out: both. */
  readonly ways?: readonly ("gates" | "predictor")[];
}

/**
 * How a model is run. "resident": all of it is in memory. "gates": all gate rows are, slots hold
 * what else belongs to a neuron. "predictor": predictors are, slots hold whole neurons. "units":
 * neurons all fire, slots hold whole units.
 */
export type Way = "resident" | "gates" | "predictor" | "units";

export interface MemoryRegion {
  readonly name:
    | "weights"
    | "gates"
    | "factors"
    | "context"
    | "workspace"
    | "slots"
    | "bookkeeping"
    | "staging"
    | "io"
    | "brought"
    | "process";
  readonly bytes: number;
}

/** An arena of a rank, and the cache in it. */
export interface ArenaSlots {
  /** Layers that lie in it: first … end - 1. */
  readonly firstLayer: number;
  readonly endLayer: number;
  readonly slots: number;
  /** Frames of the hot region while 1, 2, 3, 4 sequences decode side by side. */
  readonly hotClusters: readonly number[];
}

export interface RankMemory {
  /** All of its arenas. */
  readonly bytes: number;
  readonly arenas: readonly ArenaSlots[];
}

/** What a token costs, expected: milliseconds where nothing else is said. */
export interface ExpectedDecode {
  readonly tokensPerSecond: number;
  /** Share of firing neurons (of the predicted ones) that are in slots. */
  readonly hitRate: number;
  /** A missing neuron's gate is read first, and the rest if it fires; else it is one read. */
  readonly readsGatesFirst: boolean;
  readonly firingNeurons: number;
  readonly diskReads: number;
  readonly diskBytes: number;
  /** Bytes of weights, keys and values that are read from memory. */
  readonly memoryBytes: number;
  readonly parts: {
    /** Attention, output, and what else is read whole. */
    readonly fixed: number;
    /** Gates, or predictors and the gates that they ask for. */
    readonly gates: number;
    /** Up and down of neurons that fire. */
    readonly neurons: number;
    readonly joins: number;
    /** The cache's bookkeeping. */
    readonly cache: number;
    /** Work of the threads that read, where they have no core of their own. */
    readonly ioCpu: number;
    /** The next layer's predictors, asked ahead. */
    readonly ahead: number;
    /** Waiting for reads beyond what is computed meanwhile. */
    readonly diskWait: number;
  };
  readonly bottleneck: "memory" | "disk" | "joins" | "io cpu" | "look-ups";
}

export interface MemoryPlan {
  readonly kind: "plan";
  readonly way: Way;
  readonly budgetBytes: number;
  /** The sum of all regions: at most the budget. */
  readonly totalBytes: number;
  readonly regions: readonly MemoryRegion[];
  readonly ranks: readonly RankMemory[];
  /** Bytes of a slot; 0 where there are none. */
  readonly slotBytes: number;
  /** Slots of all ranks; share of all neurons that have room. */
  readonly slots: number;
  readonly residentShare: number;
  /** Share of the slots that is hot while 1, 2, 3, 4 sequences and more are decoded. */
  readonly hotFractions: readonly number[];
  readonly ioWorkers: number;
  /** Bytes of a read of one neuron. */
  readonly readBytes: number;
  /** Neighbours that lie no further apart are read as one. */
  readonly mergeGapBytes: number;
  /** Tokens of a prompt that are computed at once. */
  readonly chunkTokens: number;
  readonly prefillTokensPerSecond: number;
  readonly expected: ExpectedDecode;
  /** Where rates come from. */
  readonly rates: "counted" | "assumed" | "all";
}

/** There is no way to run the model within the budget. */
export interface PlanRefusal {
  readonly kind: "refusal";
  readonly budgetBytes: number;
  /** The smallest budget that works. */
  readonly neededBytes: number;
  /** One in which all of it is in memory: where models are small, readers and staging take more. */
  readonly residentBytes: number;
}
