/** What goes where when a model is run within a memory budget, without loading anything. */
import { instantiateKernels } from "../../wasm/mod.ts";
import type { PackedModel } from "../bundle/mod.ts";
import type { GgufFile } from "../gguf/types.ts";
import type { ModelDescription } from "../model/types.ts";
import {
  type MachineProfile,
  type MemoryPlan,
  modelUnits,
  type PlanInput,
  planMemory,
  type PlanRefusal,
} from "../planner/mod.ts";
import type { FiringStats } from "../stats/types.ts";
import { contextLengthFor, type LoadOptions, rankCountFor } from "./load_options.ts";

/** As pack aligns neurons when nobody says. */
const ALIGN_BYTES = 64;

export interface Budget {
  /** Most memory of the whole process. */
  readonly budgetBytes: number;
  readonly profile: MachineProfile;
  /** Predicted neurons for each that fires; left out: nobody has counted. */
  readonly predictedPerActive?: number;
  /** Of neurons on disk, gates are read before the rest; left out: where that is faster. */
  readonly readsGatesFirst?: boolean;
  /** `readsByKernel`. */
  readonly kernelReads?: boolean;
  /** How often this model's neurons fire; null: what its file says, if it does. */
  readonly stats: FiringStats | null;
}

export interface PlannedModel {
  readonly plan: MemoryPlan | PlanRefusal;
  /** Why the model could not be packed; null: it could, or is. */
  readonly obstacle: string | null;
}

/**
 * How the model would be run within a budget, were it packed; `model` as `describeForUse` has it.
 * @throws {UnsupportedModelError} when it cannot be run at all.
 */
export function planWithin(
  of: { file: GgufFile; packed: PackedModel | null; model: ModelDescription },
  module: WebAssembly.Module,
  options: LoadOptions & Budget,
): PlannedModel {
  const { file, packed, model } = of;
  const { units, obstacle } = packed === null
    ? modelUnits(model, file.tensors, ALIGN_BYTES)
    : { units: packed.units, obstacle: null };
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const plan = planMemory({
    ...{ model, tensors: file.tensors, units },
    budgetBytes: options.budgetBytes,
    threads: rankCountFor(options),
    contextLength: contextLengthFor(model, options),
    sequences: options.parallel === "auto" ? 1 : options.parallel,
    kvType: options.kvType,
    isSparse: options.sparse,
    ways: waysOf(options),
    profile: options.profile,
    kernelReads: options.kernelReads,
    readsGatesFirst: options.readsGatesFirst,
    predictedPerActive: options.predictedPerActive,
    stats: options.stats,
    sizes: instantiateKernels(module, memory),
  });
  return { plan, obstacle };
}

/** What the user has decided already. */
function waysOf({ predictor }: LoadOptions): PlanInput["ways"] {
  if (predictor === "on") return ["predictor"];
  return predictor === "off" ? ["gates"] : undefined;
}
