/** What xIELU reads, in a plan. */
import type { XieluCurve } from "../model/types.ts";
import type { Placer } from "./plan_layer.ts";

/** f32 [4]: n, p, b, e. */
export interface CurvePlan {
  readonly offsetBytes: number;
  readonly values: readonly number[];
}

/** Kernels read it; who begins writes it. Null: the layer has none. */
export function planCurve(
  place: Placer,
  layer: number,
  curve: XieluCurve | undefined,
): CurvePlan | null {
  if (curve === undefined) return null;
  const { negative, positive, linear, least } = curve;
  const values = [negative, positive, linear, least];
  return { offsetBytes: place.region(`blk.${layer}.curve`, 4 * values.length), values };
}
