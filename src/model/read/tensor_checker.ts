/**
 * Takes tensors out of a file one by one, each checked to be there with the shape and a type that
 * the engine computes with, and remembers which were taken. Knows no families; reads no weights.
 */
import { ModelFormatError, UnsupportedModelError } from "../../base/errors.ts";
import type { GgufFile, GgufTensor } from "../../gguf/mod.ts";
import { DEQUANTIZED_TYPES } from "../quants/dequantize.ts";
import { KERNEL_SIDE } from "../plane.ts";
import { formatError } from "./hyperparameters.ts";
import type { MatrixTensor, VectorTensor } from "../types.ts";

/** Types that a norm, bias or list of frequencies may have; a matrix may have any that is read. */
export const VECTOR_TYPES: readonly string[] = ["F32", "F16", "BF16"];

/** Types that a list of whole numbers may have. */
const TABLE_TYPES: readonly string[] = ["I32"];

/** A tensor of `rows` rows with what else is in it: fused rows, many experts. */
export interface MatrixShape {
  readonly rows: number;
  readonly columns: number;
  /** Matrices of that shape in the tensor, one after the other. Left out: 1. */
  readonly count?: number;
}

/** Checks tensors one by one and remembers which were asked for. */
export class TensorChecker {
  readonly #file: GgufFile;
  readonly #nameInFile: (name: string) => string;
  readonly #used = new Set<string>();

  /** nameInFile: what the file calls a tensor, where that is another name than it is asked by. */
  constructor(file: GgufFile, nameInFile: ((name: string) => string) | null = null) {
    this.#file = file;
    this.#nameInFile = nameInFile ?? ((name) => name);
  }

  /** True when the file has the tensor. */
  has(name: string): boolean {
    return this.#file.tensors.has(this.#nameInFile(name));
  }

  /** Tensors that the model may have and has no use for. */
  leave(...names: readonly string[]): void {
    for (const name of names) this.#used.add(this.#nameInFile(name));
  }

  /** Rows of the tensor as the file has it; undefined where it has none. */
  rowCount(name: string): number | undefined {
    const tensor = this.#file.tensors.get(this.#nameInFile(name));
    return tensor && (tensor.dims[1] ?? 1);
  }

  /**
   * A whole tensor [count, rows, columns] as one matrix [count · rows, columns] without a bias.
   * @throws {ModelFormatError | UnsupportedModelError} when it is missing or not like that.
   */
  matrix(name: string, { rows, columns, count = 1 }: MatrixShape): MatrixTensor {
    const tensor = this.#check(name, [columns, rows, count], DEQUANTIZED_TYPES);
    return { tensor, rowStart: 0, rows: rows * count, columns, bias: null };
  }

  /**
   * A whole tensor of convolution kernels [rows, channels, side, side] as one matrix, each of them
   * a row.
   * @throws {ModelFormatError | UnsupportedModelError} when it is missing or not like that.
   */
  kernel(
    name: string,
    { rows, channels, side }: {
      readonly rows: number;
      readonly channels: number;
      readonly side: number;
    },
  ): MatrixTensor {
    const tensor = this.#check(name, [side, side, channels, rows], DEQUANTIZED_TYPES);
    return { tensor, rowStart: 0, rows, columns: channels * side * side, bias: null };
  }

  /**
   * A whole tensor as a vector of `length` elements, or of `count` times as many.
   * @throws {ModelFormatError | UnsupportedModelError} when it is missing or not like that.
   */
  vector(name: string, length: number, count = 1): VectorTensor {
    const tensor = this.#check(name, [length, count], VECTOR_TYPES);
    return { tensor, start: 0, length: length * count };
  }

  /** Kernels of a plane, [count, 1, side, side], one behind the other. */
  planeKernels(name: string, count: number, side = KERNEL_SIDE): VectorTensor {
    const tensor = this.#check(name, [side, side, 1, count], VECTOR_TYPES);
    return { tensor, start: 0, length: side ** 2 * count };
  }

  /** A vector of numbers of channels, which files may have as a plane's, [length, 1, 1]. */
  channels(name: string, length: number): VectorTensor {
    const isPlane = this.#file.tensors.get(this.#nameInFile(name))?.dims[0] === 1 && length > 1;
    const tensor = this.#check(name, isPlane ? [1, 1, length] : [length], VECTOR_TYPES);
    return { tensor, start: 0, length };
  }

  /** The same of a tensor that has its `count` parts as one dimension, or as two. */
  flatVector(name: string, length: number, count: number): VectorTensor {
    const isFlat = this.#file.tensors.get(this.#nameInFile(name))?.dims[0] === length * count;
    return isFlat ? this.vector(name, length * count) : this.vector(name, length, count);
  }

  /** A whole tensor of whole numbers, [count, length]. */
  table(name: string, length: number, count: number): VectorTensor {
    const tensor = this.#check(name, [length, count], TABLE_TYPES);
    return { tensor, start: 0, length: length * count };
  }

  /** The same of long ones, [length]: numbers of tokens. */
  longTable(name: string, length: number): VectorTensor {
    const tensor = this.#check(name, [length], ["I64"]);
    return { tensor, start: 0, length };
  }

  /** The same of a tensor that may have dimensions of 1 between these two. */
  stackedVectors(name: string, length: number, count: number): VectorTensor {
    const dims = this.#file.tensors.get(this.#nameInFile(name))?.dims ?? [];
    const between = Math.max(0, dims.length - 2);
    const ones = dims.findIndex((dimension, i) => i > 0 && dimension !== 1);
    const isSpread = ones > 1 && ones <= between + 1;
    const tensor = this.#check(
      name,
      isSpread ? [length, ...Array(ones - 1).fill(1), count] : [length, count],
      VECTOR_TYPES,
    );
    return { tensor, start: 0, length: length * count };
  }

  /**
   * A tensor that is not used would have changed the result: better no answer than a wrong one.
   * Blocks from number `start` on, below `end`, are not computed: theirs may be there.
   * @throws {UnsupportedModelError} when there is one.
   */
  refuseUnused({ start, end }: { readonly start: number; readonly end: number }): void {
    for (const [name, { summed }] of this.#file.tensors) {
      // Control vectors' are no part of the model: steer_layers.ts has them.
      if (this.#used.has(name) || isRotaryLeftover(name) || summed !== undefined) continue;
      const block = Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? -1);
      if (block >= start && block < end) continue;
      throw new UnsupportedModelError(
        `Cannot run this model: it holds a tensor "${name}" that this version has no use for, so ` +
          "its answers would be wrong: use a model without it",
      );
    }
  }

  /** Returns what the file calls it. */
  #check(asked: string, dims: readonly number[], types: readonly string[]): string {
    const name = this.#nameInFile(asked);
    const tensor = this.#file.tensors.get(name);
    if (!tensor) {
      throw formatError(
        this.#file,
        `Cannot find tensor "${name}" (${showShape(dims)}): the model needs it, the file has ` +
          `${this.#file.tensors.size} others: get the file again or convert the model again`,
      );
    }
    if (!sameShape(tensor.dims, dims)) throw wrongShape(this.#file, tensor, dims);
    if (!types.includes(tensor.type)) {
      throw new UnsupportedModelError(
        `Cannot run this model: tensor "${name}" has the type ${tensor.type}: this version ` +
          `computes with ${types.join(", ")} there, use a model quantised to one of them`,
      );
    }
    this.#used.add(name);
    return name;
  }
}

/** Tables of angles that converters wrote in 2023; everybody computes them instead. */
function isRotaryLeftover(name: string): boolean {
  return /^blk\.\d+\.attn_rot_embd(\.weight)?$/.test(name);
}

/** Dimensions that are left out at the end count as 1. */
function sameShape(found: readonly number[], expected: readonly number[]): boolean {
  const length = Math.max(found.length, expected.length);
  for (let i = 0; i < length; i++) if ((found[i] ?? 1) !== (expected[i] ?? 1)) return false;
  return true;
}

function wrongShape(
  file: GgufFile,
  tensor: GgufTensor,
  expected: readonly number[],
): ModelFormatError {
  return new ModelFormatError(
    `Cannot use tensor "${tensor.name}": the metadata asks for ${showShape(expected)}, the file ` +
      `has ${showShape(tensor.dims)}: get the file again or convert the model again`,
    { offsetBytes: tensor.offsetBytes, path: file.parts[tensor.part]?.path },
  );
}

/** "[rows, columns]": outermost first, as everywhere in this program; files say it backwards. */
function showShape(dims: readonly number[]): string {
  const length = dims.findLastIndex((dimension, index) => dimension !== 1 || index === 0) + 1;
  return `[${dims.slice(0, length).toReversed().join(", ")}]`;
}
