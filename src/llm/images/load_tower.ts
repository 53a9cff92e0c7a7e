/** A projector's file (mmproj): planned, and threads that make rows of images or sounds. */
import { EngineHandle } from "../../../workers/mod.ts";
import { loadKernelModule } from "../../../wasm/mod.ts";
import { type GgufFile, openedAs, openGguf } from "../../gguf/mod.ts";
import {
  hears,
  type ImageConfig,
  type ModelDescription,
  readHearing,
  readVision,
  sees,
  type SoundConfig,
} from "../../model/mod.ts";
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
  readonly description: ModelDescription;
  /** What preparing images takes, or sounds. */
  readonly reads: ImageConfig | SoundConfig;
  /** A second tower that looks at the rows of this one; left out: there is none. */
  readonly second?: Pick<PlannedTower, "description" | "plans">;
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
 * Reads a projector's file and plans the threads of its tower, or of both; starts none.
 * @throws {ModelFormatError} when the file is damaged or not what it claims to be.
 * @throws {UnsupportedModelError} when this version cannot run it.
 */
export function planTowers(
  path: string,
  module: WebAssembly.Module,
  options: TowerOptions = {},
): PlannedTower[] {
  const file = openedAs("projector", () => openGguf(path));
  return readTowers(file).map((tower) => planned({ path, file, ...tower, module, options }));
}

/** The same tower by other options. */
export function planAgain(tower: PlannedTower, options: TowerOptions): PlannedTower {
  return planned({ ...tower, options });
}

function planned({ second, ...tower }: ReadTower & Omit<PlannedTower, keyof ReadTower | "plans">) {
  const { file, module, options } = tower;
  const plansOf = (description: ModelDescription) =>
    planRanks(
      description,
      file.tensors,
      towerOptionsFor(description, module, options, !!options.onGpu),
    );
  return {
    ...tower,
    ...second && {
      second: { description: second.description, plans: plansOf(second.description) },
    },
    plans: plansOf(tower.description),
  };
}

/** What a file says of a tower. */
interface ReadTower extends Pick<PlannedTower, "description" | "reads"> {
  readonly second?: Pick<PlannedTower, "description">;
}

/** Those of images first. Of a file of both one that hears in another way is left out. */
function readTowers(file: GgufFile): ReadTower[] {
  const towers: ReadTower[] = [];
  if (sees(file)) {
    const { description, second, images: reads } = readVision(file);
    towers.push({ description, reads, ...second && { second: { description: second } } });
  }
  if (hears(file)) {
    const { description, sounds: reads } = readHearing(file);
    towers.push({ description, reads });
  }
  return towers;
}

/** Starts a tower's threads. */
export async function startTower(
  { file, description: model, plans, module, options }: PlannedTower,
): Promise<EngineHandle> {
  return await EngineHandle.start({
    ...{ plans, module, config: model.config, parts: file.parts, stuckMs: options.stuckMs },
    tensors: usedTensors(file, model, plans),
    ...options.onGpu && { gpu: options.onGpu },
  });
}

/** The threads of what looks at a tower's rows. */
export async function startSecond({ second, ...tower }: PlannedTower): Promise<EngineHandle> {
  return await startTower({ ...tower, ...second! });
}

/** Both, of the first tower. */
export async function loadTower(path: string, options: TowerOptions = {}): Promise<LoadedTower> {
  const [planned] = planTowers(path, await loadKernelModule(), options);
  return { ...planned, engine: await startTower(planned) };
}
