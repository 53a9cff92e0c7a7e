/**
 * What of rows that a prompt brings along is added behind the first layers. The rank that has the
 * rows adds it to what its neurons give, so that no rank waits for it. Knows no images.
 */
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";

/** partial += those parts of the step's given rows that belong behind the layer. */
export function addGivenParts(
  { given, config: { givenParts = 1 }, plan, n }: StepState,
  stepIds: Int32Array,
  residual: Residual,
  layerIndex: number,
): void {
  const part = layerIndex + 1;
  if (given === null || part >= givenParts) return;
  for (let t = 0; t < n; t++) {
    if (stepIds[t] >= 0) continue;
    given.addPart(stepIds[t], part, residual.partialToAdd(), t * plan.strides.embedding);
  }
}
