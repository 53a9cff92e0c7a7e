/**
 * Which of a machine's processors looks at images: a GPU has all of a tower, or nothing. Loads
 * nothing.
 */
import { describeGpu, type GpuDescription } from "../../../gpu/planning.ts";
import { towerObstacle } from "../../rank/gpu/tower_obstacle.ts";
import type { GpuSetup } from "../../rank/gpu/gpu_setup.ts";
import { GAIN_MIN } from "../choose_gpu.ts";
import { expectedSpeeds } from "../gpu_speeds.ts";
import type { LoadOptions } from "../load_options.ts";
import { planAgain, type PlannedTower } from "./load_tower.ts";

/** What became of the question. */
export type TowerChoice = { readonly onGpu: PlannedTower } | { readonly reason: string };

/** Of what `--gpu-memory` gives: the text model has the rest, and is asked more often. */
const SHARE_MAX = 0.5;
/** Beside weights, keys and values: lists of commands, tables, reading back. */
const BESIDE_BYTES = 8 << 20;

/** planned: the same on threads. */
export async function chooseTowerGpu(
  tower: PlannedTower,
  options: LoadOptions,
  { describe = describeGpu }: { readonly describe?: () => Promise<GpuDescription> } = {},
): Promise<TowerChoice> {
  const { file, description: model } = tower;
  const { gpu: mode = "auto", profile, gpuMemoryBytes } = options;
  if (mode === "off") return { reason: "it was switched off" };
  const obstacle = towerObstacle(model, file);
  if (obstacle !== null) return { reason: obstacle };
  if (mode === "auto" && profile?.gpu === undefined) return { reason: "it was never measured" };
  const { available, adapter, reason = "there is none" } = await describe();
  if (!available) return { reason };
  const isSoftware = adapter?.isFallback === true;
  if (isSoftware && mode !== "force") return { reason: "there is only a software adapter" };
  const speeds = expectedSpeeds({ file, model }, options);
  if (mode === "auto" && speeds !== null && speeds.gpu < GAIN_MIN * speeds.cpu) {
    return { reason: "the threads are as fast by what was measured" };
  }
  const setup: GpuSetup = {
    mayBeSoftware: isSoftware,
    priority: options.priority ?? "normal",
    tuning: profile?.gpu?.tuning ?? null,
    ...{ memoryBytes: null, lossAtStep: options.gpuLossAtLook ?? null, waitMs: null },
  };
  const onGpu = planAgain(tower, { ...options, onGpu: setup });
  if (gpuMemoryBytes === undefined) return { onGpu };
  const memoryBytes = towerBytes(onGpu);
  if (memoryBytes > SHARE_MAX * gpuMemoryBytes) {
    return { reason: "it would take more than half of what --gpu-memory gives" };
  }
  return { onGpu: { ...onGpu, options: { ...onGpu.options, onGpu: { ...setup, memoryBytes } } } };
}

/** What a tower takes of a GPU's memory at most: rows of a step as if none shared bytes. */
export function towerBytes({ plans: [plan], description }: PlannedTower): number {
  const { weightsBytes, kvBytes } = plan.gpu!;
  const { embeddingLength, headCount, headCountKv, headDim, feedForwardLength } =
    description.config;
  const { patches, projector } = description.config;
  const floats = 4 * embeddingLength + (2 * headCount + 2 * headCountKv) * headDim +
    3 * feedForwardLength + patches!.length + 3 * embeddingLength + 2 * projector!.outputLength;
  // Rows as floats, and once more for products by integers and for attention's scratch.
  return weightsBytes + kvBytes + 2 * 4 * plan.chunkTokens * floats + BESIDE_BYTES;
}
