/** Refuses what a family says of a model that this version does not compute. */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { Family, ScaleShape } from "../family.ts";

/** @throws {UnsupportedModelError} where the family says so. */
export function refuseObstacle({ architecture, obstacle }: Family, shape: ScaleShape): void {
  const what = obstacle?.(shape) ?? null;
  if (what === null) return;
  throw new UnsupportedModelError(
    `Cannot run this ${architecture} model: ${what}, which this version does not compute: use ` +
      "another model",
  );
}
