/**
 * Reads tensors that adapters change: the model's rows as numbers, the products added, the sums in
 * their type. Whoever reads sees a tensor like any other, so that threads, GPUs, rows of tables and
 * measurements have adapters without knowing of them. Threads load it as they start: so it takes
 * from others what needs nothing of Node's.
 */
import { ModelFormatError, UnsupportedModelError } from "../base/errors.ts";
import { check } from "../base/check.ts";
import { MiB } from "../base/units.ts";
import type { GgufFile, GgufTensor, LowRankProduct } from "../gguf/mod.ts";
import { type TensorMerger, TensorReader } from "../gguf/tensor_reader.ts";
import { dequantize, dequantizeInto } from "../model/quants/dequantize.ts";
import { rowBytes } from "../model/dtypes.ts";
import { encodeWeightsInto, isWeightType } from "../quantize/encode.ts";
import { readSum } from "./sum_vectors.ts";

const PIECE_WEIGHTS = MiB / 4;
/** The largest f16: factors of blocks are of this type, too. */
const F16_MAX = 65504;
/** Products of so many numbers between them are added in one pass over a row. */
const AT_ONCE = 8;

/** A reader of any model, with adapters or without. */
export function openTensors(file: Pick<GgufFile, "parts">): TensorReader {
  return TensorReader.open(file, new RowMerger());
}

/** A product's matrices as numbers. */
interface OpenProduct {
  /** [rows, rank], with the scale in it. */
  readonly left: Float32Array;
  /** [rank, columns]. */
  readonly right: Float32Array;
  readonly rank: number;
}

/**
 * Keeps the products of the matrix that was read last, for the same is asked for piece by piece:
 * all of a tensor, or one expert's.
 */
export class RowMerger implements TensorMerger {
  #tensor: GgufTensor | null = null;
  #matrix = 0;
  #products: readonly OpenProduct[] = [];
  readonly #pieceWeights: number;

  /** pieceWeights: so many are numbers at a time, or a row. */
  constructor(pieceWeights = PIECE_WEIGHTS) {
    this.#pieceWeights = pieceWeights;
  }

  read(
    reader: TensorReader,
    tensor: GgufTensor,
    { offsetBytes, into }: { readonly offsetBytes: number; readonly into: Uint8Array },
  ): void {
    if (tensor.summed !== undefined) return readSum(reader, tensor, { offsetBytes, into });
    const ownRowBytes = rowBytes(tensor.type, tensor.dims[0]);
    const [first, end] = [offsetBytes, offsetBytes + into.length];
    const rowsAtOnce = Math.max(1, Math.floor(this.#pieceWeights / tensor.dims[0]));
    const rowEnd = Math.ceil(end / ownRowBytes);
    for (let row = Math.floor(first / ownRowBytes); row < rowEnd; row += rowsAtOnce) {
      const bytes = this.#rows(reader, tensor, row, Math.min(rowsAtOnce, rowEnd - row));
      const at = row * ownRowBytes;
      const [from, to] = [Math.max(first, at), Math.min(end, at + bytes.length)];
      into.set(bytes.subarray(from - at, to - at), from - first);
    }
  }

  /** Whole rows of the sum. */
  #rows(reader: TensorReader, tensor: GgufTensor, first: number, count: number): Uint8Array {
    const { name, type, dims: [columns, rowsOfOne] } = tensor;
    const { base } = tensor.adapted!;
    const baseRowBytes = rowBytes(base.type, columns);
    const stored = new Uint8Array(count * baseRowBytes);
    reader.read(base, first * baseRowBytes, stored);
    const weights = new Float32Array(count * columns);
    dequantizeInto(base.type, stored, weights);
    for (let i = 0; i < count; i++) {
      const row = weights.subarray(i * columns, (i + 1) * columns);
      const matrix = Math.floor((first + i) / rowsOfOne);
      const own = first + i - matrix * rowsOfOne;
      for (const { left, right, rank } of this.#productsOf(reader, tensor, matrix)) {
        addProduct(row, left.subarray(own * rank, (own + 1) * rank), right);
      }
    }
    check(isWeightType(type), `sums are of a type that is written here, ${type}`);
    // What nothing is added to is a half of a pair by itself.
    if (tensor.adapted!.products.length === 0) checkFinite(base, weights, first * baseRowBytes);
    checkRange(name, type, weights);
    const bytes = new Uint8Array(rowBytes(type, weights.length));
    encodeWeightsInto(type, weights, bytes);
    return bytes;
  }

  #productsOf(reader: TensorReader, tensor: GgufTensor, matrix: number): readonly OpenProduct[] {
    if (this.#tensor === tensor && this.#matrix === matrix) return this.#products;
    const { products } = tensor.adapted!;
    this.#products = products.map((product) => openProduct(reader, product, matrix));
    this.#tensor = tensor;
    this.#matrix = matrix;
    return this.#products;
  }
}

function openProduct(reader: TensorReader, product: LowRankProduct, matrix: number): OpenProduct {
  const { rank, scale, isRightTransposed } = product;
  const left = floats(reader, product.left, matrix);
  for (let i = 0; i < left.length; i++) left[i] *= scale;
  const right = floats(reader, product.right, matrix);
  return { rank, left, right: isRightTransposed ? transposed(right, rank) : right };
}

/** One of the matrices that lie one behind the other. */
function floats(reader: TensorReader, tensor: GgufTensor, matrix: number): Float32Array {
  const { type, dims: [columns, rows] } = tensor;
  const bytes = new Uint8Array(rows * rowBytes(type, columns));
  reader.read(tensor, matrix * bytes.length, bytes);
  const values = dequantize(type, bytes);
  checkFinite(tensor, values, matrix * bytes.length);
  return values;
}

/** values: the tensor's from byte `firstByte` on. */
function checkFinite(tensor: GgufTensor, values: Float32Array, firstByte: number): void {
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return;
  throw new ModelFormatError(
    `Cannot use the adapter's tensor "${tensor.name}": its number ${wrong} is ${values[wrong]}: ` +
      "the file was damaged: get it again",
    { offsetBytes: tensor.offsetBytes + firstByte },
  );
}

/** [columns, rank] → [rank, columns]. */
function transposed(values: Float32Array, rank: number): Float32Array {
  const columns = values.length / rank;
  const from = (i: number) => (i % columns) * rank + Math.floor(i / columns);
  return Float32Array.from(values, (_, i) => values[from(i)]);
}

/** row += factors · right, eight numbers between them at a time: a row is read less often. */
function addProduct(row: Float32Array, factors: Float32Array, right: Float32Array): void {
  const n = row.length;
  const rank = factors.length;
  let k = 0;
  for (; k + AT_ONCE <= rank; k += AT_ONCE) {
    addEight(row, factors.subarray(k), right.subarray(k * n));
  }
  for (; k < rank; k++) {
    const factor = factors[k];
    for (let i = 0, p = k * n; i < n; i++, p++) row[i] += factor * right[p];
  }
}

/** One view for each row of eight: indices that V8 can check once take a quarter of the time. */
function addEight(row: Float32Array, c: Float32Array, right: Float32Array): void {
  const n = row.length;
  const at = (k: number) => right.subarray(k * n, (k + 1) * n);
  const [r0, r1, r2, r3, r4, r5, r6, r7] = [at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)];
  const [c0, c1, c2, c3, c4, c5, c6, c7] = [c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]];
  for (let i = 0; i < n; i++) {
    row[i] += c0 * r0[i] + c1 * r1[i] + c2 * r2[i] + c3 * r3[i] + c4 * r4[i] + c5 * r5[i] +
      c6 * r6[i] + c7 * r7[i];
  }
}

function checkRange(name: string, type: string, weights: Float32Array): void {
  const most = type === "F32" || type === "BF16" ? Number.MAX_VALUE : F16_MAX;
  for (let i = 0; i < weights.length; i++) {
    if (Math.abs(weights[i]) <= most) continue;
    throw new UnsupportedModelError(
      `Cannot add the adapter to tensor "${name}": a weight becomes ${weights[i]}, which ${type} ` +
        "does not hold: use a smaller scale, or --lora-type f32",
    );
  }
}
