/** What ends a layer on a GPU, loaded. Knows nothing of its blocks. */
import type { GpuLayerInput } from "./gpu_layer.ts";
import { type LayerAltUp, loadLayerAltUp } from "./gpu_alt_up.ts";
import { type LayerInputs, loadLayerInputs } from "./gpu_inputs.ts";
import { type LayerKept, loadLayerKept } from "./gpu_kept.ts";
import type { VectorPlan } from "../plan/plan_types.ts";

/** In this order. */
export interface LayerEnd {
  /** Null: there is one stream. */
  readonly altUp: LayerAltUp | null;
  /** Null: tokens give it nothing. */
  readonly input: LayerInputs | null;
  /** f32 [1], that multiplies the stream; null: nothing does, or not here. */
  readonly scale: GPUBuffer | null;
  /** Null: what is kept beside the stream has nothing to do with it. */
  readonly kept: LayerKept | null;
  /** f32 [d], added to the stream; null: nothing is, or not here. */
  readonly direction: GPUBuffer | null;
}

/** Loads it. @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
export async function loadLayerEnd(input: GpuLayerInput): Promise<LayerEnd> {
  const { plan, isAlone, loader } = input;
  const vector = async (own: VectorPlan | null) =>
    isAlone && own !== null ? await loader.vector(own) : null;
  return {
    altUp: await loadLayerAltUp(input, plan),
    input: await loadLayerInputs(input, plan),
    scale: await vector(plan.outputScale),
    kept: await loadLayerKept(input, plan),
    direction: await vector(plan.direction),
  };
}
