/**
 * Bends a random model so that a set share of its ReLU neurons stays silent.
 *
 * The first 32 dimensions of the residual stream carry a constant: every embedding has 1 there and
 * no block adds to it. Gate rows turn that constant into a threshold of their own, which random
 * weights alone could not have. Blocks add little, so that the normalised constant stays near 1
 * through all of them.
 */
import { check } from "../base/check.ts";
import { rowBytes } from "../model/dtypes.ts";
import { type PlannedTensor, rowCount } from "./layout.ts";
import type { Pools } from "./pools.ts";
import { PredictedNeurons } from "./predicted_neurons.ts";
import { batchRows, CONSTANT_DIMENSIONS, HeadWriter } from "./rows.ts";
import type { SeededRandom } from "./seeded_random.ts";
import { type ModelShape, rectifiesUp } from "./shapes.ts";
import { type FiringThresholds, firingThresholds, normalQuantile } from "./sparsity.ts";
import { encodableType } from "./synth_types.ts";
import type { WeightPool } from "./weight_pool.ts";

/** With 32 blocks the constant shrinks by 4 %. */
const RESIDUAL_GAIN = 0.05;
/** Deeper models add less, so that it shrinks no further. */
const BLOCKS_OF_FULL_GAIN = 32;
/**
 * How often the up half of a dReLU neuron lets through what the gate let through. Publishers count
 * neurons whose product is zero; this is how few of them the gate leaves to the up half.
 */
const UP_RATE = 0.9;

/** How a model is to be bent. */
export interface SparseOptions {
  /** Share of neurons whose product is zero, mean over all of them. */
  readonly sparsity: number;
  /** Hidden units of the predictors; left out: there are none, and all gates differ freely. */
  readonly predictorRank?: number;
}

/** The tensors that differ from those of a dense model; ask for them in the file's order. */
export class SparseWeights {
  readonly #rectifiesUp: boolean;
  readonly #residualGain: number;
  readonly #thresholds: FiringThresholds;
  readonly #predictorRank: number | undefined;
  readonly #random: SeededRandom;
  /** The neurons of the last gate, expert by expert. */
  #neurons: PredictedNeurons[] = [];

  constructor(shape: ModelShape, options: SparseOptions, random: SeededRandom) {
    this.#rectifiesUp = rectifiesUp(shape);
    this.#residualGain = RESIDUAL_GAIN *
      Math.min(1, Math.sqrt(BLOCKS_OF_FULL_GAIN / shape.blockCount));
    this.#thresholds = firingThresholds(gateSparsity(shape, options.sparsity));
    this.#predictorRank = options.predictorRank;
    this.#random = random;
  }

  /** The data of a tensor; null when it is that of a dense model. */
  pieces(tensor: PlannedTensor, pools: Pools): Iterable<Uint8Array> | null {
    switch (tensor.role) {
      case "embedding":
        return rowsWithHeads(tensor, pools.of(tensor), () => CONSTANT_DIMENSIONS);
      case "gate":
        if (this.#predictorRank !== undefined) return this.#predictedGates(tensor, pools);
        return rowsWithHeads(tensor, pools.of(tensor), () => -this.#thresholds.next(this.#random));
      case "up":
        if (!this.#rectifiesUp) return null;
        return rowsWithHeads(tensor, pools.of(tensor), () => normalQuantile(UP_RATE));
      case "residual":
        return residual(tensor, pools.of(tensor, this.#residualGain));
      case "residualByNeuron":
        return rowsWithHeads(tensor, pools.of(tensor, this.#residualGain), () => 0);
      case "predictorIn":
        return this.#predictorIn(tensor, pools);
      case "predictorOut":
        return this.#predictorOut(tensor);
      case "norm":
        return [this.#norm(tensor, pools)];
      default:
        return null;
    }
  }

  *#predictedGates(tensor: PlannedTensor, pools: Pools): Iterable<Uint8Array> {
    const [columns, neurons, count = 1] = tensor.dims;
    check(this.#predictorRank !== undefined, "a predictor has a rank");
    const sources = {
      rank: this.#predictorRank,
      pool: pools.of(tensor),
      thresholds: this.#thresholds,
      random: this.#random,
    };
    this.#neurons = [];
    for (let expert = 0; expert < count; expert++) {
      const made = new PredictedNeurons({ type: encodableType(tensor), columns, neurons }, sources);
      this.#neurons.push(made);
      yield* made.gateRows();
    }
  }

  *#predictorIn(tensor: PlannedTensor, pools: Pools): Iterable<Uint8Array> {
    const type = encodableType(tensor);
    for (const made of this.#neurons) yield* made.inputRows(type, pools.of(tensor));
  }

  *#predictorOut(tensor: PlannedTensor): Iterable<Uint8Array> {
    for (const made of this.#neurons) yield* made.outputRows(encodableType(tensor));
  }

  /**
   * A norm that leaves the constant alone; before predicted neurons it is plain, because predictors
   * read what comes before it.
   */
  #norm(tensor: PlannedTensor, pools: Pools): Uint8Array {
    const bytes = pools.vector(tensor);
    check(bytes.byteOffset % 4 === 0, "an F32 vector is aligned");
    const weights = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const isPlain = this.#predictorRank !== undefined && tensor.name.endsWith("ffn_norm.weight");
    weights.fill(1, 0, isPlain ? weights.length : CONSTANT_DIMENSIONS);
    return bytes;
  }
}

/** How many gates are silent where `sparsity` of the products are zero. */
function gateSparsity(shape: ModelShape, sparsity: number): number {
  return rectifiesUp(shape) ? 1 - (1 - sparsity) / UP_RATE : sparsity;
}

/** A matrix whose rows begin with 32 equal weights, which add up to `sumOf()` for each row. */
function rowsWithHeads(
  tensor: PlannedTensor,
  pool: WeightPool,
  sumOf: () => number,
): Iterable<Uint8Array> {
  const bytesPerRow = rowBytes(tensor.type, tensor.dims[0]);
  const heads = new HeadWriter(encodableType(tensor));
  return batchRows({ bytesPerRow, rowCount: rowCount(tensor) }, (into) => {
    pool.fill(into);
    heads.write(into, sumOf());
  });
}

/** The rows that would change the constant are zero, in every expert. */
function* residual({ type, dims }: PlannedTensor, pool: WeightPool): Iterable<Uint8Array> {
  const [columns, rows, count = 1] = dims;
  const bytesPerRow = rowBytes(type, columns);
  const zeros = new Uint8Array(CONSTANT_DIMENSIONS * bytesPerRow);
  for (let expert = 0; expert < count; expert++) {
    yield zeros;
    yield* pool.pieces((rows - CONSTANT_DIMENSIONS) * bytesPerRow);
  }
}
