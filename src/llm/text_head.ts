/**
 * What a model has behind the vector of a text: projections to other vectors, or what scores how
 * well a text answers a question. Small matrices that a text meets once: they are read from the
 * file when they are first asked for, and multiplied here.
 */
import { openTensors } from "../adapter/mod.ts";
import type { GgufFile } from "../gguf/mod.ts";
import { dequantize, type MatrixTensor, type VectorTensor } from "../model/mod.ts";
import type { NormConfig, RankerTensors, TextHeadTensors } from "../model/types.ts";

/** A matrix [rows, columns] with its bias, in floats. */
interface Layer {
  readonly weights: Float32Array;
  readonly bias: Float32Array | null;
}

export class TextHead {
  readonly #file: GgufFile;
  readonly #tensors: TextHeadTensors;
  readonly #epsilon: number;
  readonly #read = new Map<string, Float32Array>();

  constructor(file: GgufFile, tensors: TextHeadTensors, { epsilon }: NormConfig) {
    this.#file = file;
    this.#tensors = tensors;
    this.#epsilon = epsilon;
  }

  /** Null: it does not score. */
  get ranker(): RankerTensors | null {
    return this.#tensors.ranker;
  }

  /** The vector that stands for a text whose rows were pooled to x, [embeddingLength]. */
  project(x: Float32Array): Float32Array {
    return this.#tensors.projections.reduce((vector, matrix) => this.#multiply(matrix, vector), x);
  }

  /** How well the text answers, of its pooled rows x, [embeddingLength]. */
  score({ dense, activation, norm, output, isSoftmax }: RankerTensors, x: Float32Array): number {
    let hidden = x;
    if (dense !== null) {
      hidden = this.#multiply(dense, x).map(activation === "tanh" ? Math.tanh : gelu);
    }
    if (norm !== null) hidden = normalize(hidden, this.#vector(norm), this.#epsilon);
    const rows = output === null ? hidden : this.#multiply(output, hidden);
    if (!isSoftmax) return rows[0];
    return 1 / rows.reduce((sum, each) => sum + Math.exp(each - rows[0]), 0);
  }

  #multiply(matrix: MatrixTensor, x: Float32Array): Float32Array {
    const { weights, bias } = this.#layer(matrix);
    const { rows, columns } = matrix;
    const out = new Float32Array(rows);
    for (let row = 0; row < rows; row++) {
      let sum = bias?.[row] ?? 0;
      for (let i = 0, at = row * columns; i < columns; i++) sum += weights[at + i] * x[i];
      out[row] = sum;
    }
    return out;
  }

  #layer({ tensor, bias }: MatrixTensor): Layer {
    return { weights: this.#floats(tensor), bias: bias && this.#vector(bias) };
  }

  #vector({ tensor }: VectorTensor): Float32Array {
    return this.#floats(tensor);
  }

  /** All of a tensor, read once. */
  #floats(name: string): Float32Array {
    const known = this.#read.get(name);
    if (known !== undefined) return known;
    using reader = openTensors(this.#file);
    const tensor = this.#file.tensors.get(name)!;
    const values = dequantize(tensor.type, reader.readAll(tensor));
    this.#read.set(name, values);
    return values;
  }
}

/** By tanh, as everywhere. */
function gelu(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/** (x - mean) / deviation · weights. */
function normalize(x: Float32Array, weights: Float32Array, epsilon: number): Float32Array {
  const mean = x.reduce((sum, each) => sum + each, 0) / x.length;
  const variance = x.reduce((sum, each) => sum + (each - mean) ** 2, 0) / x.length;
  return x.map((each, i) => (each - mean) / Math.sqrt(variance + epsilon) * weights[i]);
}
