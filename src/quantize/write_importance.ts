/**
 * Writes importance matrices as llama.cpp's `imatrix` does, in GGUF: for each matrix the sums of
 * squares of what was multiplied by its columns, and over how many rows they are.
 *
 * Knows nothing of how they were measured.
 */
import { list, type TensorSpec, text, u32, writeGguf, type WriteOptions } from "../gguf/mod.ts";
import { CHUNK_COUNT, COUNTS, DATASETS, SQUARES } from "./importance.ts";

/** Of a tensor, which may be several matrices, as experts are. */
export interface MatrixSums {
  readonly name: string;
  readonly columns: number;
  /** [matrices, columns] */
  readonly squares: ArrayLike<number>;
  /** [matrices] */
  readonly counts: ArrayLike<number>;
}

/** What a file says of the text. */
export interface MeasuredText {
  readonly datasets: readonly string[];
  readonly chunkCount: number;
  /** Tokens of each. */
  readonly chunkSize: number;
  /** Of whatever began it, that nobody else may go on with; left out: nobody will. */
  readonly subject?: string;
}

/** What a run that was interrupted says of itself: model, text and settings, as a hash. */
export const SUBJECT = "ganglion.imatrix.subject";

/**
 * Writes one: whole or not at all. Sums become f32.
 * @returns bytes of the file.
 * @throws as `writeGguf`.
 */
export function writeImportance(
  path: string,
  sums: readonly MatrixSums[],
  { datasets, chunkCount, chunkSize, subject }: MeasuredText,
  options?: WriteOptions,
): Promise<number> {
  const byName = [...sums].sort((a, b) => a.name < b.name ? -1 : 1);
  return writeGguf(path, {
    metadata: [
      ["general.type", text("imatrix")],
      [DATASETS, list(datasets)],
      [CHUNK_COUNT, u32(chunkCount)],
      ["imatrix.chunk_size", u32(chunkSize)],
      ...subject === undefined ? [] : [[SUBJECT, text(subject)] as const],
    ],
    tensors: byName.flatMap(({ name, columns, squares, counts }) => [
      floats(name + SQUARES, [columns, counts.length], squares),
      floats(name + COUNTS, [1, counts.length], counts),
    ]),
  }, options);
}

function floats(name: string, dims: readonly number[], values: ArrayLike<number>): TensorSpec {
  const pieces = () => [new Uint8Array(Float32Array.from(values).buffer)];
  return { name, type: "F32", dims, pieces };
}
