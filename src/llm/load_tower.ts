/** Loads a projector's file (mmproj): threads that make rows of a text model of images' patches. */
import { EngineHandle } from "../../workers/mod.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { type GgufFile, openGguf } from "../gguf/mod.ts";
import { readVision, type VisionModel } from "../model/mod.ts";
import { planRanks } from "../rank/plan.ts";
import type { LoadOptions } from "./load_options.ts";
import { towerOptionsFor } from "./rank_options.ts";
import { usedTensors } from "./used_tensors.ts";

/** What of the options a tower looks at: it is always on threads. */
export type TowerOptions = Pick<LoadOptions, "threads" | "kvType" | "arenaBytesMax" | "stuckMs">;

export interface LoadedTower {
  readonly file: GgufFile;
  readonly vision: VisionModel;
  /** Its `images` look; it reads no ids. */
  readonly engine: EngineHandle;
}

/**
 * Starts a tower's threads.
 * @throws {ModelFormatError} when the file is damaged or not what it claims to be.
 * @throws {UnsupportedModelError} when this version cannot run it.
 */
export async function loadTower(path: string, options: TowerOptions = {}): Promise<LoadedTower> {
  const file = openGguf(path);
  const vision = readVision(file);
  const { description: model } = vision;
  const module = await loadKernelModule();
  const plans = planRanks(model, file.tensors, towerOptionsFor(model, module, options));
  const engine = await EngineHandle.start({
    ...{ plans, module, config: model.config, parts: file.parts, stuckMs: options.stuckMs },
    tensors: usedTensors(file, model, plans),
  });
  return { file, vision, engine };
}
