/**
 * Rows of matrices that are made one by one, and their beginnings, which carry constants. Knows
 * blocks; nothing of what a matrix is for.
 */
import { MiB } from "../base/units.ts";
import { dtypeByName, rowBytes } from "../model/dtypes.ts";
import { dequantizeInto } from "../model/mod.ts";
import { encodeWeightsInto, type WeightType } from "../quantize/mod.ts";

/** Dimensions of the residual stream that carry the constant of sparse models. */
export const CONSTANT_DIMENSIONS = 32;
const BATCH_BYTES = 1 * MiB;

/**
 * `rowCount` rows, about 1 MiB at a time, in a buffer that is used again.
 * @param makeRow fills all of `into`, which holds an earlier row.
 */
export function* batchRows(
  rows: { readonly bytesPerRow: number; readonly rowCount: number },
  makeRow: (into: Uint8Array, row: number) => void,
): Iterable<Uint8Array> {
  const { bytesPerRow, rowCount } = rows;
  const batchCount = Math.min(rowCount, Math.max(1, Math.floor(BATCH_BYTES / bytesPerRow)));
  const batch = new Uint8Array(batchCount * bytesPerRow);
  for (let first = 0; first < rowCount; first += batchCount) {
    const count = Math.min(batchCount, rowCount - first);
    for (let i = 0; i < count; i++) {
      makeRow(batch.subarray(i * bytesPerRow, (i + 1) * bytesPerRow), first + i);
    }
    yield batch.subarray(0, count * bytesPerRow);
  }
}

/** Gives rows of one type equal weights on the constant dimensions. */
export class HeadWriter {
  readonly #type: WeightType;
  /** Whole blocks that hold the constant dimensions, and perhaps more. */
  readonly #weights: Float32Array;
  readonly #bytes: number;

  constructor(type: WeightType) {
    this.#type = type;
    const length = Math.max(CONSTANT_DIMENSIONS, dtypeByName(type)!.blockElements);
    this.#weights = new Float32Array(length);
    this.#bytes = rowBytes(type, length);
  }

  /** Makes the first weights of a row sum to `sum`, as closely as the type can. */
  write(row: Uint8Array, sum: number): void {
    const head = row.subarray(0, this.#bytes);
    dequantizeInto(this.#type, head, this.#weights);
    this.#weights.fill(sum / CONSTANT_DIMENSIONS, 0, CONSTANT_DIMENSIONS);
    encodeWeightsInto(this.#type, this.#weights, head);
  }

  /** What the first weights of a row sum to. */
  read(row: Uint8Array): number {
    dequantizeInto(this.#type, row.subarray(0, this.#bytes), this.#weights);
    let sum = 0;
    for (let i = 0; i < CONSTANT_DIMENSIONS; i++) sum += this.#weights[i];
    return sum;
  }
}
