/** A layer's share on a GPU in a plan, and what it keeps of texts there. Reads no weights. */
import { configOf } from "../../model/layer_config.ts";
import type { LayerWeights } from "./layer_weights.ts";
import type { Placer } from "./plan_layer.ts";
import { norm } from "./plan_norm.ts";
import type { PlannerInput } from "./plan_options.ts";
import type { LayerPlan } from "./plan_types.ts";
import { sharing } from "./same_weights.ts";
import { keptBytes } from "./kept_shapes.ts";

/**
 * @param by.shared the layer whose weights it has; null: it has its own.
 * @param by.place what ends a join is done where the other ranks' sums are: on the rank's thread.
 */
export function planOnGpu(
  { model: { config, tensors }, layerShards, options, kvType }: PlannerInput,
  index: number,
  { shared, weights, place, arena, statePlaces }: {
    readonly shared: LayerPlan | null;
    readonly weights: LayerWeights;
    readonly place: Placer;
    readonly arena: number;
    readonly statePlaces: number;
  },
): { readonly layer: LayerPlan; readonly keptBytes: number } {
  const { attentionPostNorm, feedForwardPostNorm, outputScale, direction } = tensors.layers[index];
  const { stateSpace, timeMix, finch, keyDeltas, lightning, ...others } = weights;
  const layer: LayerPlan = {
    ...others,
    arena,
    ...sharing(shared, tensors.layers[index], place),
    stateSpace: stateSpace && { ...stateSpace, placesOffsetBytes: 0 },
    timeMix: timeMix && { ...timeMix, placesOffsetBytes: 0 },
    finch: finch && { ...finch, placesOffsetBytes: 0 },
    keyDeltas: keyDeltas && { ...keyDeltas, placesOffsetBytes: 0 },
    lightning: lightning && { ...lightning, placesOffsetBytes: 0 },
    attentionPostNorm: norm(place, attentionPostNorm),
    feedForwardPostNorm: norm(place, feedForwardPostNorm),
    outputScale: outputScale && place.vector(outputScale),
    direction: direction ? place.vector(direction) : null,
    keysOffsetBytes: 0,
    valuesOffsetBytes: 0,
    indexedKeysOffsetBytes: 0,
  };
  const kept = keptBytes(layerShards[index], {
    ...{ ...options, kvType, config: configOf(config, index), layer: config.layers[index] },
    statePlaces,
  });
  return { layer, keptBytes: kept };
}
