/** A predictor's matrix as a file holds it. */
import { check } from "../base/check.ts";
import { dtypeByName, rowBytes } from "../model/dtypes.ts";
import { encodeWeights } from "../quantize/mod.ts";
import { packedRowBytes } from "../rank/plan/weight_types.ts";
import type { PredictorMatrix, PredictorType } from "./trained_predictor.ts";

/**
 * Encodes f32 [rows, columns] in the one of the types that takes fewest bytes in memory; so
 * matrices of one shape get one type, as experts' must.
 */
export function encodeMatrix(
  values: Float32Array,
  { rows, columns }: { rows: number; columns: number },
  types: readonly PredictorType[],
): PredictorMatrix {
  check(values.every(Number.isFinite), "a predictor's weights are finite");
  const type = smallestType(types, columns);
  const bytes = encodeWeights(type, values);
  check(bytes.length === rows * rowBytes(type, columns), `bytes of a predictor in ${type}`);
  return { type, rows, columns, bytes };
}

/** F16 where rows end on no type's blocks. Short rows are smallest as floats: no padding. */
function smallestType(types: readonly PredictorType[], columns: number): PredictorType {
  const fitting = types.filter((type) => columns % dtypeByName(type)!.blockElements === 0);
  const bytes = fitting.map((type) => packedRowBytes(type, columns));
  return fitting[bytes.indexOf(Math.min(...bytes))] ?? "F16";
}
