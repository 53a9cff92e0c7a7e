/** What a layer's own numbers say of its neurons' activation, in a plan. */
import type { BundleUnit } from "../../bundle/types.ts";
import type { LayerConfig, SwigluLimit, XieluCurve } from "../../model/types.ts";
import type { Placer } from "./plan_layer.ts";

/** What xIELU reads: f32 [4], n, p, b, e. */
export interface CurvePlan {
  readonly offsetBytes: number;
  readonly values: readonly number[];
}

/** Of a layer's block, or of one of its experts. */
export function activationOf(
  place: Placer,
  { layer, expert, curve, limits }: Pick<LayerConfig, "curve" | "limits"> & {
    readonly layer: number;
    readonly expert: BundleUnit["expert"];
  },
): { curve: CurvePlan | null; limit: SwigluLimit | null } {
  return {
    curve: planCurve(place, layer, curve),
    limit: (typeof expert === "number" ? limits?.experts : limits?.others) ?? null,
  };
}

/** Kernels read it; who begins writes it. Null: the layer has none. */
function planCurve(
  place: Placer,
  layer: number,
  curve: XieluCurve | undefined,
): CurvePlan | null {
  if (curve === undefined) return null;
  const { negative, positive, linear, least } = curve;
  const values = [negative, positive, linear, least];
  return { offsetBytes: place.region(`blk.${layer}.curve`, 4 * values.length), values };
}
