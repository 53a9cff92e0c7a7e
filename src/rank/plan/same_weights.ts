/** Layers that are used several times: whose weights lie in an arena already. */
import type { LayerTensors } from "../../model/types.ts";
import { norm } from "./plan_norm.ts";
import type { Placer } from "./plan_layer.ts";
import type { LayerPlan } from "./plan_types.ts";
import type { PlannerInput } from "./plan_options.ts";

/**
 * A layer of the same weights, of which the rank has the same part and of that the same order, that
 * lies in the arena; null: there is none.
 *
 * @param placed the layers before it
 * @param index  number of the layer
 */
export function sameWeights(
  placed: readonly LayerPlan[],
  index: number,
  by: Pick<PlannerInput, "model" | "layerShards" | "neuronOrders" | "options"> & {
    readonly arena: number;
  },
): LayerPlan | null {
  const { model: { config: { layers } }, layerShards, neuronOrders, options, arena } = by;
  const { block } = layers[index];
  if (block === undefined) return null;
  const same = placed.findIndex((plan, other) =>
    plan.arena === arena && layers[other].block === block &&
    neuronOrders[other] === neuronOrders[index] &&
    options.thresholds?.[other] === options.thresholds?.[index] &&
    JSON.stringify(layerShards[other]) === JSON.stringify(layerShards[index])
  );
  return same < 0 ? null : placed[same];
}

/** What a layer has of its own where it shares weights: what ends a pass, which others may not. */
export function sharing(
  shared: LayerPlan | null,
  { endNorm }: LayerTensors,
  place: Placer,
): Pick<LayerPlan, "sharesWeights" | "endNorm"> | null {
  if (shared === null) return null;
  const end = endNorm === undefined ? null : shared.endNorm ?? norm(place, endNorm);
  return { sharesWeights: true, endNorm: end };
}
