/**
 * One key of several tokens': means of what they give, weighed number by number by a softmax over
 * them, normalised and turned. Knows no caches: rows are places in an array.
 */
import { fillRopeTable, type RopeFrequencies, ropeFrequencies } from "../../model/rope.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { Compressor } from "../bound/bound_compressed.ts";

/** Most rows that a key is made of. */
const ROWS_MAX = 128;

export class KeyCompressor {
  readonly #config: ModelConfig;
  /** Of the rope of each layer that has such keys. */
  readonly #frequencies: readonly RopeFrequencies[];
  /** Where rows begin; the first `#before` are of tokens that are an earlier key's. */
  readonly #rows = new Int32Array(ROWS_MAX);
  readonly #shares = new Float64Array(ROWS_MAX);
  readonly #table: Float32Array;
  #count = 0;
  #before = 0;

  constructor(config: ModelConfig) {
    this.#config = config;
    this.#frequencies = config.ropes.map((rope) => ropeFrequencies(rope, null));
    this.#table = new Float32Array(config.compression!.turnedDim);
  }

  /** Rows are listed next. */
  begin(before: number): void {
    this.#count = 0;
    this.#before = before;
  }

  list(row: number): void {
    this.#rows[this.#count++] = row;
  }

  /**
   * floats[to …] = the key of the listed rows, of which column `first` and so many more are
   * averaged and those behind them weigh; position: of the first token of its own.
   */
  make(
    { norm }: Compressor,
    layer: number,
    floats: Float32Array,
    position: number,
    first: number,
    width: number,
    to: number,
  ): void {
    const dim = norm.length;
    for (let i = 0; i < dim; i++) this.#average(floats, first + i, width, width - dim, to + i);
    let squares = 0;
    for (let i = 0; i < dim; i++) squares += floats[to + i] * floats[to + i];
    const factor = 1 / Math.sqrt(squares / dim + this.#config.norm.epsilon);
    for (let i = 0; i < dim; i++) floats[to + i] *= factor * norm[i];
    this.#turn(floats, to + dim, layer, position);
  }

  /**
   * floats[to] = a mean: no fraction is handed on, which would be boxed. own: how far columns of
   * own tokens lie behind those of earlier ones.
   */
  #average(floats: Float32Array, first: number, width: number, own: number, to: number): void {
    const rows = this.#rows, shares = this.#shares;
    let largest = -Infinity;
    for (let j = 0; j < this.#count; j++) {
      const at = rows[j] + first + (j < this.#before ? 0 : own);
      shares[j] = floats[at + width];
      largest = Math.max(largest, shares[j]);
    }
    let sum = 0, mean = 0;
    for (let j = 0; j < this.#count; j++) {
      const share = Math.exp(shares[j] - largest);
      sum += share;
      mean += share * floats[rows[j] + first + (j < this.#before ? 0 : own)];
    }
    floats[to] = mean / sum;
  }

  /** The dimensions before `end`, by neighbouring pairs. */
  #turn(floats: Float32Array, end: number, layer: number, position: number): void {
    const { layers, compression } = this.#config;
    const { turnedDim } = compression!;
    const half = turnedDim / 2, table = this.#table;
    fillRopeTable(this.#frequencies[layers[layer].rope!], position, table, 0);
    for (let i = 0; i < half; i++) {
      const at = end - turnedDim + 2 * i;
      const a = floats[at], b = floats[at + 1];
      floats[at] = a * table[i] - b * table[half + i];
      floats[at + 1] = a * table[half + i] + b * table[i];
    }
  }
}
