/**
 * What of rows that a prompt brings along is added behind some layers. The rank that has the
 * rows adds it to what its neurons give, so that no rank waits for it. Knows no images.
 */
import { partBehind } from "../../model/given_width.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";

/** partial += those parts of the step's given rows that belong behind the layer. */
export function addGivenParts(
  { given, config, plan, n, fractions }: StepState,
  stepIds: Int32Array,
  residual: Residual,
  layerIndex: number,
): void {
  const part = partBehind(config, layerIndex);
  if (given === null || part === 0) return;
  // What blocks leave is scaled, parts are not.
  const scale = 1 / fractions.residualScale;
  for (let t = 0; t < n; t++) {
    if (stepIds[t] >= 0) continue;
    const to = { to: residual.partialToAdd(), at: t * plan.strides.embedding, scale };
    given.addPart(stepIds[t], part, to);
  }
}
