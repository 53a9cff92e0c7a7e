/** All weights of a file as numbers, and pieces of them by their descriptions. Knows no model. */
import { check } from "../base/check.ts";
import { openTensors } from "../adapter/mod.ts";
import type { GgufFile, TensorReader } from "../gguf/mod.ts";
import { matmul, type Numbers } from "./ops.ts";
import { dequantize, type MatrixTensor, type VectorTensor } from "../model/mod.ts";

/** Who looks on while weights are multiplied. */
export interface ProductOptions {
  /** Is shown each product's matrix and what it is multiplied by, [n, columns]. */
  readonly onProduct?: (matrix: MatrixTensor, x: Numbers) => void;
}

/** Every tensor of a file, dequantised. */
export class ReferenceWeights {
  readonly #tensors: ReadonlyMap<string, Float32Array>;
  readonly #onProduct: ProductOptions["onProduct"];

  /** Reads all tensors; without a reader the file's parts are opened and closed again. */
  constructor(file: GgufFile, givenReader?: TensorReader, options: ProductOptions = {}) {
    this.#onProduct = options.onProduct;
    const reader = givenReader ?? openTensors(file);
    try {
      this.#tensors = new Map(
        [...file.tensors.values()].map((tensor) => {
          return [tensor.name, dequantize(tensor.type, reader.readAll(tensor))];
        }),
      );
    } finally {
      if (!givenReader) reader.close();
    }
  }

  /** [rows · columns], row-major. */
  matrix({ tensor, rowStart, rows, columns }: MatrixTensor): Float32Array {
    return this.#piece(tensor, rowStart * columns, rows * columns);
  }

  /** W · x, [n, rows]; x [n, columns]. */
  multiply(matrix: MatrixTensor, x: Numbers): Float64Array {
    this.#onProduct?.(matrix, x);
    return matmul(this.matrix(matrix), x, matrix.columns);
  }

  /** The transpose, [columns · rows], row-major. */
  transposed(matrix: MatrixTensor): Float32Array {
    const { rows, columns } = matrix;
    const values = this.matrix(matrix);
    const turned = new Float32Array(values.length);
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < columns; i++) turned[i * rows + row] = values[row * columns + i];
    }
    return turned;
  }

  /** [length]. */
  vector({ tensor, start, length }: VectorTensor): Float32Array {
    return this.#piece(tensor, start, length);
  }

  #piece(tensor: string, start: number, length: number): Float32Array {
    const values = this.#tensors.get(tensor);
    check(values !== undefined, `no weight "${tensor}"`);
    check(start + length <= values.length, `"${tensor}" has ${values.length} values`);
    return values.subarray(start, start + length);
  }
}
