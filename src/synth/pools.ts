/** Random weights for every tensor of a model, shared where tensors are alike. */
import { elementCount, tensorBytes } from "../model/dtypes.ts";
import { encodeWeights } from "../quantize/mod.ts";
import { weightDistribution } from "./distribution.ts";
import type { PlannedTensor } from "./layout.ts";
import type { SeededRandom } from "./seeded_random.ts";
import type { ModelShape } from "./shapes.ts";
import { encodableType } from "./synth_types.ts";
import { WeightPool } from "./weight_pool.ts";

/** One pool per type and size of weights: a model needs three or four. */
export class Pools {
  readonly #shape: ModelShape;
  readonly #random: SeededRandom;
  readonly #bytesMax: number;
  readonly #pools = new Map<string, WeightPool>();

  /** bytesMax: of a pool, where it is less than pools have. */
  constructor(shape: ModelShape, random: SeededRandom, bytesMax: number) {
    this.#shape = shape;
    this.#random = random;
    this.#bytesMax = bytesMax;
  }

  /** The data of a tensor. */
  pieces(tensor: PlannedTensor): Iterable<Uint8Array> {
    const { dims: { length }, role } = tensor;
    // Matrices have no mean.
    if (length === 1 || role === "norm" || role === "decay") return [this.vector(tensor)];
    return this.of(tensor).pieces(tensorBytes(tensor.type, tensor.dims));
  }

  /** A norm, a bias or decays. */
  vector(tensor: PlannedTensor): Uint8Array {
    const { mean, deviation } = weightDistribution(tensor, this.#shape);
    const length = elementCount(tensor.dims);
    const draw = () => mean + deviation * this.#random.normal();
    return encodeWeights(encodableType(tensor), Float32Array.from({ length }, draw));
  }

  /** The pool for a matrix; `gain` makes its weights larger. */
  of(tensor: PlannedTensor, gain = 1): WeightPool {
    const deviation = gain * weightDistribution(tensor, this.#shape).deviation;
    const key = `${tensor.type} ${deviation}`;
    const sizes = { deviation, bytesMax: this.#bytesMax };
    const pool = this.#pools.get(key) ?? new WeightPool(tensor.type, sizes, this.#random);
    this.#pools.set(key, pool);
    return pool;
  }
}
