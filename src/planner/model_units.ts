/**
 * How neurons of a model lie, or would once it is packed: what the planner counts with. Knows no
 * files.
 */
import { alignUp } from "../base/check.ts";
import { UnsupportedModelError } from "../base/errors.ts";
import {
  listUnits,
  unitObstacle,
  type UnitShape,
  unitShape,
  type UnitSource,
} from "../bundle/units.ts";
import type { GgufTensor } from "../gguf/types.ts";
import type { MatrixTensor, ModelDescription } from "../model/types.ts";
import { packedRowBytes, type WeightType } from "../rank/plan/weight_types.ts";

type Tensors = ReadonlyMap<string, GgufTensor>;

export interface ModelUnits {
  /** None where layers have no neurons. */
  readonly units: readonly UnitShape[];
  /** Why the model cannot be packed; null: it can. */
  readonly obstacle: string | null;
}

/**
 * @throws {UnsupportedModelError} when the model cannot be run at all.
 */
export function modelUnits(
  model: ModelDescription,
  tensors: Tensors,
  alignBytes: number,
): ModelUnits {
  const sources = listUnits(model);
  const asWholes = (obstacle: string): ModelUnits => (
    { units: sources.map((each) => wholeUnit(each, tensors)), obstacle }
  );
  const obstacle = unitObstacle(model);
  if (obstacle !== null) return asWholes(obstacle);
  try {
    const units = sources.map((source) => unitShape(source, tensors, alignBytes));
    return { units, obstacle: null };
  } catch (error) {
    if (!(error instanceof UnsupportedModelError)) throw error;
    return asWholes(error.message);
  }
}

/** A unit whose neurons cannot be told apart in its down matrix: only sums of it mean something. */
function wholeUnit({ layer, expert, tensors: block }: UnitSource, tensors: Tensors): UnitShape {
  const typeOf = ({ tensor }: MatrixTensor) => tensors.get(tensor)!.type as WeightType;
  const rowOf = (matrix: MatrixTensor) => packedRowBytes(typeOf(matrix), matrix.columns);
  const part = (matrix: MatrixTensor, sizeBytes: number) => (
    { type: typeOf(matrix), tensor: matrix.tensor, offsetBytes: 0, sizeBytes }
  );
  const { gate, up, down } = block;
  const gatePart = gate === null ? null : part(gate, rowOf(gate));
  const downBytes = rowOf(down) * down.rows / up.rows;
  const gateBytes = gatePart?.sizeBytes ?? 0;
  return {
    ...{ layer, expert, neurons: up.rows, stripes: 1 },
    ...{ gate: gatePart, up: part(up, rowOf(up)), down: part(down, downBytes) },
    ...{ downLayout: "columns", restOffsetBytes: gateBytes, factorsSizeBytes: 0 },
    bundleBytes: gateBytes + alignUp(rowOf(up) + downBytes, 1),
  };
}
