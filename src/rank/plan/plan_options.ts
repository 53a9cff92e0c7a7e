/** What a plan is made of: what is asked for, and what one rank's planner is told. */
import type { GgufTensor } from "../../gguf/types.ts";
import type { ModelDescription } from "../../model/types.ts";
import type { AdaptersPlan } from "./plan_added.ts";
import type { LongSteps } from "./gpu_plan_types.ts";
import type { MatrixLayouts } from "./matrix_layouts.ts";
import type { KvType } from "./plan_types.ts";
import type { UnitOptions, UnitPlan } from "./plan_units.ts";
import type { KernelSizes } from "./plan_workspace.ts";
import type { GpuShare, Range, Shard } from "./shard.ts";

export interface PlanOptions {
  readonly rankCount: number;
  /** Tokens of a sequence that the key/value cache can hold. */
  readonly contextLength: number;
  /** Sequences that can be in the cache, and in a step, at once; left out: 1. */
  readonly sequences?: number;
  /** Blocks of 32 positions that they share; left out: enough for all of them at full length. */
  readonly kvBlocks?: number;
  /** Tokens of one step at most. */
  readonly chunkTokens: number;
  /** "auto": f32 when the matrices are f32, so that nothing is rounded; else i16. */
  readonly kvType: KvType | "auto";
  /** False: every neuron is computed, also those whose activation is zero. */
  readonly isSparse?: boolean;
  /** Quiet neurons are left out, too: those with an |act(gate)| of at most this, by layer. */
  readonly thresholds?: readonly number[];
  /** False: predictors that the model has are not loaded. */
  readonly hasPredictors?: boolean;
  /** Left out: weights are tensors of the file. */
  readonly packed?: UnitOptions;
  /** Rows of codebooks' types are written out: more bytes, several times as fast. Default false. */
  readonly writesOut?: boolean;
  /** Ranks sum up what their products read: an engine that measures. Left out: they do not. */
  readonly measuresInputs?: boolean;
  /** The last of the ranks is a GPU; rankCount counts it, too. Left out: none is. */
  readonly gpu?: GpuOptions;
  /** For tests: arenas smaller than a memory can be. */
  readonly arenaBytesMax?: number;
  /** For tests: false gives every intermediate bytes of its own. */
  readonly sharesWorkspace?: boolean;
  /** What the kernels say they need. */
  readonly sizes: KernelSizes;
}

/** What a GPU beside other ranks has; alone it has everything. */
export interface GpuOptions extends GpuShare {
  /** Layers of which it has something: the last so many. */
  readonly layers: number;
  /** How often neurons fire, by layer: the most frequent ones are its. Left out: the first ones. */
  readonly rates?: readonly ArrayLike<number>[];
  /** What is brought to it for long steps; left out: nothing. */
  readonly longSteps?: LongSteps;
}

export interface PlannerInput {
  readonly model: ModelDescription;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly layouts: MatrixLayouts;
  readonly options: PlanOptions;
  /** Its share of tables, and of each layer. */
  readonly shard: Shard;
  readonly layerShards: readonly Shard[];
  /** Which neurons of a layer's dense block are at a shard's places; null: as in the file. */
  readonly neuronOrders: readonly (readonly Range[] | null)[];
  /** Its weights lie on a GPU. */
  readonly isOnGpu: boolean;
  readonly rankIndex: number;
  readonly kvType: KvType;
  /** That add to products; null: none do. */
  readonly adapters: AdaptersPlan | null;
  /** Of a thread: null, the model is no packed one. */
  readonly units: UnitPlan | null;
  /** Of a GPU, in the same way. */
  readonly gpuUnits: UnitPlan | null;
}
