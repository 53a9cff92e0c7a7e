/** What an engine is started with. */
import type { Speculate } from "../src/engine/drafts/drafts.ts";
import type { FileStamp } from "../src/io/mod.ts";
import type { GgufPart, GgufTensor } from "../src/gguf/types.ts";
import { createArenaMemory } from "../src/memory/arena.ts";
import {
  createObservation,
  type LayerViews,
  type Observation,
  type Plane,
} from "../src/memory/observation.ts";
import { layerNeurons } from "../src/model/layer_neurons.ts";
import type { ModelConfig } from "../src/model/types.ts";
import type { GpuSetup } from "../src/rank/gpu/gpu_setup.ts";
import type { DraftSetup } from "../src/rank/open_rank.ts";
import type { RankPlan } from "../src/rank/plan/plan_types.ts";
import type { PackedUnits } from "../src/rank/stream/streaming.ts";

/** A model that guesses for another one: its memories are yet to be made. */
export type EngineDraft = Omit<DraftSetup, "memories">;

export interface EngineOptions {
  /** One per thread. */
  readonly plans: readonly RankPlan[];
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly parts: readonly GgufPart[];
  /** The compiled kernels. */
  readonly module: WebAssembly.Module;
  /** What its neurons can be seen by; left out or empty: nothing. */
  readonly observe?: readonly Plane[];
  /** Most bytes of what is seen at once; left out: 64 MiB. */
  readonly observeBytesMax?: number;
  /** How guesses of what comes next are used; left out: not at all. */
  readonly speculate?: Speculate;
  /** A smaller model, planned for as many threads, that guesses, too; left out: there is none. */
  readonly draft?: EngineDraft;
  /** For how long threads that work may get nowhere before they are given up; default 60 s. */
  readonly stuckMs?: number;
  /** Entry of the leader's thread; tests put one in that fails. */
  readonly leaderScript?: string;
  /** The GPU that a rank of the plans is on; left out: none is. */
  readonly gpu?: GpuSetup;
  /** Where a packed model's neurons come from; left out: it is no packed one. */
  readonly packed?: {
    readonly model: PackedUnits & { readonly stamp: FileStamp };
    /** Threads that read; 0: none, the kernel does it. */
    readonly ioWorkers: number;
    /** Past the system's file cache; false: through it, by threads. */
    readonly isDirect: boolean;
  };
  /** Told how many bytes of weights all threads have read so far. */
  readonly onProgress?: (loadedBytes: number) => void;
}

/** What some tokens of a text show of a layer: src/memory/observation.ts. */
export interface LayerObservation extends LayerViews {
  readonly layer: number;
  /** Index of the first of the tokens in the text. */
  readonly firstToken: number;
  readonly tokens: number;
}

/** Where neurons are seen by; null: nobody looks. */
export function observationOf(
  { observe = [], observeBytesMax: bytesMax, plans, config }: EngineOptions,
): Observation | null {
  if (observe.length === 0) return null;
  return createObservation({
    planes: observe,
    layerCount: config.blockCount,
    neuronCount: layerNeurons(config),
    embeddingLength: config.embeddingLength,
    expertCount: config.experts?.count ?? 0,
    chunkTokens: plans[0].chunkTokens,
    bytesMax,
  });
}

/** The model that guesses with memories of its own. */
export function draftSetupOf({ draft }: EngineOptions): DraftSetup | undefined {
  if (draft === undefined) return undefined;
  return { ...draft, memories: draft.plans.map((plan) => plan.arenas.map(createArenaMemory)) };
}

/** Entry of a rank's thread. */
export function scriptOf({ rankIndex, gpu }: RankPlan, { leaderScript }: EngineOptions): string {
  if (rankIndex === 0) return leaderScript ?? "./engine_worker.ts";
  return gpu === null ? "./compute_worker.ts" : "./gpu_worker.ts";
}
