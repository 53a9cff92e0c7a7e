/**
 * Places a GPU rank's weights: nowhere in an arena, but counted in bytes of GPU memory. The plans
 * that it makes say which part of which tensor is wanted; loading follows them. Reads no weights.
 */
import { matrixBytes } from "../../../gpu/planning.ts";
import type { MatrixTensor, VectorTensor } from "../../model/types.ts";
import type { MatrixPart, Placer } from "./plan_layer.ts";
import { pickedOf, pickedOfBias } from "./picked.ts";
import { type Ranges, shift, shiftAll } from "./ranges.ts";
import type { UnitPart } from "./gpu_plan_types.ts";
import type { MatrixPlan, VectorPlan } from "./plan_types.ts";
import { lengthOf, type Range } from "./shard.ts";
import { isQuantType, type WeightType } from "./weight_types.ts";

export class DevicePlacer implements Placer {
  readonly #typeOf: (tensor: string) => WeightType;
  #weightsBytes = 0;

  constructor(typeOf: (tensor: string) => WeightType) {
    this.#typeOf = typeOf;
  }

  /** Of everything placed so far. */
  get weightsBytes(): number {
    return this.#weightsBytes;
  }

  matrix(matrix: MatrixTensor, part: MatrixPart): MatrixPlan {
    const { tensor, bias } = matrix;
    const { rows = { start: 0, end: matrix.rows }, columns = { start: 0, end: matrix.columns } } =
      part;
    const ownBias = bias === null || part.takesBias === false
      ? null
      : this.vector(bias, rows, pickedOfBias(part));
    if (part.ofUnit !== undefined) {
      return this.#ofUnit(tensor, { rows, columns, bias: ownBias }, part.ofUnit);
    }
    const isTransposed = part.isTransposed === true;
    const own = this.#typeOf(tensor);
    const isWidened = part.isWidened || part.isFloat && isQuantType(own);
    const type = isWidened ? "F32" : own;
    // Of what nothing is wanted of, be it a threads' expert, the type may be any.
    if (lengthOf(rows) > 0 && lengthOf(columns) > 0) {
      const onDevice = deviceType({ type, isTransposed });
      this.#weightsBytes += matrixBytes(onDevice, lengthOf(rows), lengthOf(columns));
    }
    return {
      ...{ tensor, type, isTransposed },
      rows: isTransposed ? rows : shift(rows, matrix.rowStart),
      columns: isTransposed ? shift(columns, matrix.rowStart) : columns,
      picked: pickedOf(matrix, part),
      rowStrideBytes: 0,
      offsetBytes: 0,
      bias: ownBias,
      layout: "rows",
      scratchOffsetBytes: 0,
    };
  }

  /** Neurons of a packed unit, whose biases are no part of it. */
  #ofUnit(
    tensor: string,
    { rows, columns, bias }: Pick<MatrixPlan, "rows" | "columns" | "bias">,
    ofUnit: UnitPart,
  ): MatrixPlan {
    const own = this.#typeOf(tensor);
    const type = ofUnit.part === "down" ? downType(own) : own;
    this.#weightsBytes += matrixBytes(type, lengthOf(rows), lengthOf(columns));
    return {
      ...{ tensor, type, rows, columns, bias, ofUnit },
      ...{ isTransposed: false, picked: null, layout: "rows" },
      ...{ rowStrideBytes: 0, offsetBytes: 0, scratchOffsetBytes: 0 },
    };
  }

  vector(
    { tensor, start, length }: VectorTensor,
    range: Range = { start: 0, end: length },
    picked: Ranges | null = null,
  ): VectorPlan {
    this.#weightsBytes += lengthOf(range) * 4;
    return {
      tensor,
      range: shift(range, start),
      picked: picked && shiftAll(picked, start),
      offsetBytes: 0,
    };
  }

  region(): number {
    return 0;
  }

  inStage<T>(place: () => T): T {
    return place();
  }
}

/** Blocks of what is turned around lie the other way: its values are kept as floats. */
export function deviceType({ type, isTransposed }: Pick<MatrixPlan, "type" | "isTransposed">) {
  return isTransposed && type !== "F16" ? "F32" : type;
}

/**
 * What single columns of down are kept in on a GPU: chosen ones are no blocks of their type. A
 * number of four bits and its scale in f16 are rounded to 11 bits. MXFP4's are exact where powers
 * of two from -23 to 13 are their scales: unit_weights.ts refuses those that are not near.
 */
export function downType(type: WeightType): WeightType {
  if (type === "F16") return type;
  return isQuantType(type) ? "F16" : "F32";
}
