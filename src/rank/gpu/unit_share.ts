/** What a GPU can have of a packed file's units, said before loading. Reads no weights. */
import { matrixBytes } from "../../../gpu/planning.ts";
import type { BundleUnit } from "../../bundle/types.ts";
import type { GgufTensor } from "../../gguf/types.ts";
import type { ModelDescription } from "../../model/types.ts";
import { hasColumnValues } from "../load/column_values.ts";
import { downType } from "../plan/device_placer.ts";
import { clustersOnGpu } from "../plan/hot_neurons.ts";
import type { WeightType } from "../plan/weight_types.ts";
import { sharedExpertsObstacle } from "./obstacle.ts";

/** Types whose packing computes something: unpacked_rows.ts gives none of their rows back. */
const COMPUTED_TYPES = ["NVFP4", "NVFP4S"];

/** Why neurons of it are the threads'; null: a GPU can have some. */
export function unitsObstacle(
  of: {
    readonly model: ModelDescription;
    readonly file: { readonly tensors: ReadonlyMap<string, GgufTensor> };
  },
  units: readonly BundleUnit[],
): string | null {
  const obstacle = sharedExpertsObstacle(of);
  if (obstacle !== null) return obstacle;
  for (const { gate, up, down, downLayout } of units) {
    const types = [gate?.type ?? up.type, up.type, down.type];
    const computed = types.find((type) => COMPUTED_TYPES.includes(type));
    if (computed !== undefined) return `neurons of packed files in ${computed} are the threads'`;
    if (downLayout === "columns" && !hasColumnValues(down.type)) {
      return `single neurons of a down in ${down.type} are the threads'`;
    }
  }
  return null;
}

/** Neurons of a stripe of the unit that are a GPU's, which has a share of each; all: units. */
export function clustersOfUnit(
  { layer, expert, neurons, stripes }: StripedUnit,
  share: number,
  all: readonly StripedUnit[],
): number {
  const other = expert !== "shared"
    ? undefined
    : all.find((each) => each.layer === layer && typeof each.expert === "number");
  return clustersOnGpu(share, neurons / stripes, other && other.neurons / other.stripes);
}

type StripedUnit = Pick<BundleUnit, "layer" | "expert" | "neurons" | "stripes">;

/** Bytes on a GPU of all neurons of a unit; width: of the residual stream. */
export function unitBytes({ gate, up, down, neurons }: BundleUnit, width: number): number {
  const rows = [gate, up].map((part) => part === null ? 0 : matrixBytes(part.type, neurons, width));
  return rows[0] + rows[1] + matrixBytes(downType(down.type as WeightType), width, neurons);
}
