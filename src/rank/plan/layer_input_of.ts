/** What a rank's planner tells of one layer, and of the blocks that it streams. */
import { configOf } from "../../model/layer_config.ts";
import type { DenseTensors } from "../../model/types.ts";
import type { LayerInput, Placer } from "./plan_layer.ts";
import { forEachBlock, neuronsOf, onGpuOf } from "./plan_neurons.ts";
import type { PlannerInput } from "./plan_options.ts";
import { checkUnit } from "./plan_units.ts";
import type { Range } from "./shard.ts";

export function layerInputOf(
  input: PlannerInput,
  index: number,
  { hasPredictors, arena }: { readonly hasPredictors: boolean; readonly arena: Placer },
): LayerInput & { layer: number; adds: boolean } {
  const { model: { config, tensors }, rankIndex, options, layouts, units, gpuUnits } = input;
  const neuronOrder = input.neuronOrders[index];
  const shard = input.layerShards[index];
  // Threads have other neurons of the same experts.
  const sharesExperts = input.isOnGpu && shard.expertsOnGpu.some((each) => each.gpuOfStripe > 0);
  return {
    config: configOf(config, index),
    ...{ shard, rankIndex, index, units, gpuUnits },
    threadCount: options.rankCount - (options.gpu === undefined ? 0 : 1),
    layer: index,
    adds: rankIndex === 0,
    neuronOrder,
    tensors: tensors.layers[index],
    isSilent: layouts.isSilentIn(index),
    // A GPU asks none.
    hasPredictors: hasPredictors && !input.isOnGpu,
    chooserPlace: sharesExperts ? arena : null,
    threshold: options.thresholds?.[index] ?? null,
  };
}

/** A block whose neurons are streamed, and which of them are the rank's. */
export interface StreamedBlock {
  /** Of its layer. */
  readonly index: number;
  readonly block: DenseTensors;
  readonly neurons: Range;
  /** Of these. */
  readonly neuronsOnGpu: number;
}

/** @throws {UnsupportedModelError} when tensors of a unit are not what it was packed from. */
export function streamedBlocks(
  { units, layerShards, model: { tensors } }: PlannerInput,
): StreamedBlock[] {
  const streamed: StreamedBlock[] = [];
  if (units === null) return streamed;
  tensors.layers.forEach(({ feedForward }, index) =>
    forEachBlock(feedForward, (expert, block) => {
      const unit = units.numberOf(index, expert);
      if (unit === null || units.streamed(unit) === null) return;
      checkUnit(units.options.units[unit], block);
      const shard = layerShards[index];
      const { neuronsOnGpu } = onGpuOf(shard, expert);
      streamed.push({ index, block, neurons: neuronsOf(shard, expert), neuronsOnGpu });
    })
  );
  return streamed;
}
