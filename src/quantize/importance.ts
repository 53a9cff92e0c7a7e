/**
 * What the weights of a model count, by a file of llama.cpp's `imatrix`: for each matrix and each
 * of its columns the mean square of what was multiplied by it, over a text. A product's error is
 * about the sum of its weights' squared errors times these. Both forms of such files: GGUF, and the
 * older one without a magic.
 *
 * Knows nothing of how weights are stored.
 */
import { ModelFormatError } from "../base/errors.ts";
import { GiB } from "../base/units.ts";
import { openFileSource } from "../gguf/byte_source.ts";
import {
  getNumber,
  getStrings,
  type GgufFile,
  type GgufTensor,
  openGguf,
  TensorReader,
} from "../gguf/mod.ts";
import { elementCount } from "../model/dtypes.ts";

/** Of what text a file is, as it says itself. */
interface Text {
  readonly datasets: readonly string[];
  readonly chunkCount: number;
}

/** Sums of squares [experts, columns], and of how many rows each expert's are. */
export interface Sums {
  readonly squares: Float32Array;
  readonly counts: Float32Array;
}

/** The least that a column counts, of the mean: every weight has some error that is too large. */
const LEAST = 1e-4;
/** What names of sums and of counts end in, behind a matrix's. */
export const [SQUARES, COUNTS] = [".in_sum2", ".counts"];
/** Names of metadata. */
export const [DATASETS, CHUNK_COUNT] = ["imatrix.datasets", "imatrix.chunk_count"];
/** As many bytes of the older form are read at most: it has some MB for a 70B. */
const LEGACY_BYTES_MAX = GiB;
const NAME_BYTES_MAX = 512;

/** An importance matrix. */
export class Importance {
  readonly path: string;
  readonly text: Text;
  readonly #sums: ReadonlyMap<string, Sums>;

  constructor(path: string, sums: ReadonlyMap<string, Sums>, text: Text) {
    this.path = path;
    this.text = text;
    this.#sums = sums;
  }

  /** Matrices that it knows. */
  get matrixCount(): number {
    return this.#sums.size;
  }

  /** All that it knows, by names of matrices. */
  get sums(): ReadonlyMap<string, Sums> {
    return this.#sums;
  }

  /** An error that names the file. */
  wrong(what: string): ModelFormatError {
    return wrong(this.path, what);
  }

  /**
   * What columns count, f32 [experts, columns], in the mean of an expert 1, above 0; undefined of a
   * matrix that it does not know. Experts also are groups of a matrix' rows that read something of
   * their own, where the file has them so (DeepSeek 4's `attn_output_a`).
   * @throws {ModelFormatError} when it has numbers for another shape, or what is no number.
   */
  of({ name, dims }: Pick<GgufTensor, "name" | "dims">): Float32Array | undefined {
    const sums = this.#sums.get(name);
    if (sums === undefined) return undefined;
    const columns = dims[0];
    const { squares, counts } = sums;
    const isGrouped = dims.length === 2 && counts.length > 1 && dims[1] % counts.length === 0;
    const experts = isGrouped ? counts.length : matricesOf(dims);
    if (squares.length !== columns * experts || counts.length !== 1 && counts.length !== experts) {
      throw wrong(
        this.path,
        `"${name}" has ${squares.length} numbers of ${counts.length} there, and the model's ` +
          `${experts} matrices of ${columns} columns: take the file of this model`,
      );
    }
    const all = new Float32Array(squares.length);
    for (let e = 0; e < experts; e++) {
      const begin = e * columns;
      const of = squares.subarray(begin, begin + columns);
      if (!of.every((sum) => sum >= 0 && sum < Infinity)) {
        throw wrong(this.path, `"${name}" has sums of squares that are none`);
      }
      const count = counts[counts.length === 1 ? 0 : e];
      if (!(count >= 0)) throw wrong(this.path, `"${name}" has a count that is none, ${count}`);
      // Nothing was seen of an expert that no token chose: its weights count the same.
      const mean = count > 0 ? of.reduce((sum, each) => sum + each, 0) / columns : 0;
      for (let c = 0; c < columns; c++) {
        all[begin + c] = mean > 0 ? Math.max(of[c] / mean, LEAST) : 1;
      }
    }
    return all;
  }
}

function matricesOf(dims: readonly number[]): number {
  return dims.slice(2).reduce((product, dimension) => product * dimension, 1);
}

/**
 * Opens a file of either form.
 * @throws {ModelFormatError} when it is neither, or damaged.
 */
export function openImportance(path: string): Importance {
  const bytes = bytesOfLegacy(path);
  return bytes === null ? ofGguf(openGguf(path), path) : ofLegacy(bytes, path);
}

/** All of a file of the older form; null: it begins as GGUF. */
function bytesOfLegacy(path: string): Uint8Array<ArrayBuffer> | null {
  const source = openFileSource(path);
  try {
    const { sizeBytes } = source;
    const magic = new Uint8Array(Math.min(4, sizeBytes));
    source.read(0, magic);
    if (new TextDecoder().decode(magic) === "GGUF") return null;
    if (sizeBytes > LEGACY_BYTES_MAX) {
      throw wrong(path, `it has ${sizeBytes} bytes and does not begin as GGUF`);
    }
    const bytes = new Uint8Array(sizeBytes);
    source.read(0, bytes);
    return bytes;
  } finally {
    source.close();
  }
}

function ofGguf(file: GgufFile, path: string): Importance {
  const { tensors, metadata } = file;
  const names = new Set<string>();
  for (const { name } of tensors.values()) {
    if (!name.endsWith(SQUARES)) continue;
    const matrix = name.slice(0, -SQUARES.length);
    if (tensors.has(matrix + COUNTS)) names.add(matrix);
    else throw wrong(path, `"${matrix}${COUNTS}" is missing`);
  }
  if (names.size === 0) throw wrong(path, `it has no tensor whose name ends in "${SQUARES}"`);
  using reader = TensorReader.open(file);
  const sums = new Map([...names].map((name) => [name, {
    squares: floatsOf(reader, tensors.get(name + SQUARES)!, path),
    counts: floatsOf(reader, tensors.get(name + COUNTS)!, path),
  }]));
  const datasets = metadata.has(DATASETS) ? [...getStrings(metadata, DATASETS)] : [];
  const chunkCount = countOf(getNumber(metadata, CHUNK_COUNT, 0));
  return new Importance(path, sums, { datasets, chunkCount });
}

function floatsOf(reader: TensorReader, tensor: GgufTensor, path: string): Float32Array {
  const { name, type, dims } = tensor;
  if (type !== "F32") throw wrong(path, `"${name}" has the type ${type}, not F32`);
  const count = elementCount(dims);
  const floats = new Float32Array(count);
  reader.read(tensor, 0, new Uint8Array(floats.buffer));
  return floats;
}

/** What is no count of 32 bits says nothing. */
function countOf(number: number): number {
  return number >>> 0 === number ? number : 0;
}

/** i32 entries, each: i32 n, a name of n bytes, i32 calls, i32 n, f32 [n] sums of as many calls. */
function ofLegacy(bytes: Uint8Array<ArrayBuffer>, path: string): Importance {
  const view = new DataView(bytes.buffer);
  let at = 0;
  const number = (): number => {
    if (at + 4 > bytes.length) throw wrong(path, "it ends too early", at);
    at += 4;
    return view.getInt32(at - 4, true);
  };
  /** The next so many bytes, of at most so many. */
  const take = (count: number, most: number): Uint8Array => {
    if (!(count >= 0 && count <= most && count <= bytes.length - at)) {
      throw wrong(path, "it is neither GGUF nor of the older form", at);
    }
    at += count;
    return bytes.subarray(at - count, at);
  };
  const sums = new Map<string, Sums>();
  for (let left = number(); left > 0; left--) {
    const name = new TextDecoder().decode(take(number(), NAME_BYTES_MAX));
    const calls = number();
    const squares = new Float32Array(take(4 * number(), LEGACY_BYTES_MAX).slice().buffer);
    sums.set(name, { squares, counts: Float32Array.of(calls) });
  }
  if (sums.size === 0) throw wrong(path, "it is neither GGUF nor of the older form");
  // What follows may be left out.
  const chunkCount = at < bytes.length ? countOf(number()) : 0;
  const dataset = at < bytes.length ? new TextDecoder().decode(take(number(), bytes.length)) : "";
  return new Importance(path, sums, { datasets: dataset === "" ? [] : [dataset], chunkCount });
}

function wrong(path: string, what: string, offsetBytes = 0): ModelFormatError {
  return new ModelFormatError(
    `Cannot use this file as an importance matrix: ${what}: give one that imatrix made, or ` +
      "llama-imatrix",
    { offsetBytes, path },
  );
}
