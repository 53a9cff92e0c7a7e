/** A projector's file (mmproj): planned, and threads that make rows of images' patches. */
import { EngineHandle } from "../../../workers/mod.ts";
import { loadKernelModule } from "../../../wasm/mod.ts";
import { type GgufFile, openGguf } from "../../gguf/mod.ts";
import { readVision, type VisionModel } from "../../model/mod.ts";
import { planRanks } from "../../rank/plan/plan.ts";
import type { GpuSetup } from "../../rank/gpu/gpu_setup.ts";
import type { RankPlan } from "../../rank/plan/plan_types.ts";
import type { LoadOptions } from "../load_options.ts";
import { towerOptionsFor } from "../rank_options.ts";
import { usedTensors } from "../used_tensors.ts";

/** What of the options a tower looks at. */
export interface TowerOptions
  extends Pick<LoadOptions, "threads" | "kvType" | "arenaBytesMax" | "stuckMs"> {
  /** The GPU that has all of it; null or left out: threads do. */
  readonly onGpu?: GpuSetup | null;
}

export interface PlannedTower {
  readonly path: string;
  readonly file: GgufFile;
  readonly vision: VisionModel;
  /** One per thread, or that of a GPU. */
  readonly plans: readonly RankPlan[];
  readonly module: WebAssembly.Module;
  readonly options: TowerOptions;
}

export interface LoadedTower extends PlannedTower {
  /** Its `images` look; it reads no ids. */
  readonly engine: EngineHandle;
}

/**
 * Reads a projector's file and plans its threads; starts none.
 * @throws {ModelFormatError} when the file is damaged or not what it claims to be.
 * @throws {UnsupportedModelError} when this version cannot run it.
 */
export function planTower(
  path: string,
  module: WebAssembly.Module,
  options: TowerOptions = {},
): PlannedTower {
  const file = openGguf(path);
  const vision = readVision(file);
  const { description: model } = vision;
  const plans = planRanks(
    model,
    file.tensors,
    towerOptionsFor(model, module, options, !!options.onGpu),
  );
  return { path, file, vision, plans, module, options };
}

/** Starts a tower's threads. */
export async function startTower(
  { file, vision: { description: model }, plans, module, options }: PlannedTower,
): Promise<EngineHandle> {
  return await EngineHandle.start({
    ...{ plans, module, config: model.config, parts: file.parts, stuckMs: options.stuckMs },
    tensors: usedTensors(file, model, plans),
    ...options.onGpu && { gpu: options.onGpu },
  });
}

/** Both. */
export async function loadTower(path: string, options: TowerOptions = {}): Promise<LoadedTower> {
  const planned = planTower(path, await loadKernelModule(), options);
  return { ...planned, engine: await startTower(planned) };
}
