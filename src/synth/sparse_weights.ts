/**
 * Bends a random model so that a set share of its ReLU neurons stays silent.
 *
 * The first 32 dimensions of the residual stream carry a constant: every embedding has 1 there and
 * no block adds to it. Gate rows turn that constant into a threshold of their own, which random
 * weights alone could not have. Blocks add little, so that the normalised constant stays near 1
 * through all of them.
 */
import { check } from "../base/check.ts";
import { MiB } from "../base/units.ts";
import { dtypeByName, rowBytes } from "../model/dtypes.ts";
import { dequantizeInto } from "../model/mod.ts";
import { encodeWeightsInto } from "../quantize/mod.ts";
import type { PlannedTensor } from "./layout.ts";
import type { Pools } from "./pools.ts";
import type { SeededRandom } from "./seeded_random.ts";
import { type FiringThresholds, firingThresholds } from "./sparsity.ts";
import type { WeightPool } from "./weight_pool.ts";

/** Dimensions that carry the constant. */
const CONSTANT_DIMENSIONS = 32;
/** With 32 blocks the constant shrinks by 4 %. */
const RESIDUAL_GAIN = 0.05;
const BATCH_BYTES = 1 * MiB;

/** The tensors that differ from those of a dense model. */
export class SparseWeights {
  readonly #thresholds: FiringThresholds;
  readonly #random: SeededRandom;

  /** @param sparsity share of silent neurons, mean over all of them. */
  constructor(sparsity: number, random: SeededRandom) {
    this.#thresholds = firingThresholds(sparsity);
    this.#random = random;
  }

  /** The data of a tensor; null when it is that of a dense model. */
  pieces(tensor: PlannedTensor, pools: Pools): Iterable<Uint8Array> | null {
    switch (tensor.role) {
      case "embedding":
        return rowsWithHeads(tensor, pools.of(tensor), () => 1);
      case "gate":
        return rowsWithHeads(tensor, pools.of(tensor), () => this.#gateBias());
      case "residual":
        return this.#residual(tensor, pools.of(tensor, RESIDUAL_GAIN));
      case "norm":
        return [plainNorm(pools.vector(tensor))];
      default:
        return null;
    }
  }

  /** Weight on each constant dimension that puts the gate's mean at its threshold. */
  #gateBias(): number {
    return -this.#thresholds.next(this.#random) / CONSTANT_DIMENSIONS;
  }

  /** The rows that would change the constant are zero. */
  *#residual(tensor: PlannedTensor, pool: WeightPool): Iterable<Uint8Array> {
    const [columns, rows] = tensor.dims;
    const bytesPerRow = rowBytes(tensor.type, columns);
    yield new Uint8Array(CONSTANT_DIMENSIONS * bytesPerRow);
    yield* pool.pieces((rows - CONSTANT_DIMENSIONS) * bytesPerRow);
  }
}

/** A matrix whose rows begin with 32 equal weights, `weightOf()` for each row. */
function* rowsWithHeads(
  tensor: PlannedTensor,
  pool: WeightPool,
  weightOf: () => number,
): Iterable<Uint8Array> {
  const [columns, rowCount] = tensor.dims;
  const bytesPerRow = rowBytes(tensor.type, columns);
  const batchRows = Math.max(1, Math.floor(BATCH_BYTES / bytesPerRow));
  const batch = new Uint8Array(batchRows * bytesPerRow);
  // Whole blocks that hold the constant dimensions, and perhaps more.
  const weights = new Float32Array(
    Math.max(CONSTANT_DIMENSIONS, dtypeByName(tensor.type)!.blockElements),
  );
  const headBytes = rowBytes(tensor.type, weights.length);
  for (let row = 0; row < rowCount; row += batchRows) {
    const rows = batch.subarray(0, Math.min(batchRows, rowCount - row) * bytesPerRow);
    pool.fill(rows);
    for (let at = 0; at < rows.length; at += bytesPerRow) {
      const head = rows.subarray(at, at + headBytes);
      dequantizeInto(tensor.type, head, weights);
      encodeWeightsInto(tensor.type, weights.fill(weightOf(), 0, CONSTANT_DIMENSIONS), head);
    }
    yield rows;
  }
}

/** A norm that leaves the constant alone. */
function plainNorm(bytes: Uint8Array): Uint8Array {
  check(bytes.byteOffset % 4 === 0, "an F32 vector is aligned");
  const weights = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  weights.fill(1, 0, CONSTANT_DIMENSIONS);
  return bytes;
}
