/**
 * A model file with predictors: everything as it was, bit for bit, and two matrices more a layer,
 * under the names and with the key that PowerInfer's files have. The magic stays what it was.
 */
import {
  changedMetadata,
  checkOutput,
  copiedPieces,
  f32,
  magicOf,
  openGguf,
  TensorReader,
  type TensorSpec,
  writeGguf,
  type WriteOptions,
} from "../gguf/mod.ts";
import type { PredictorMatrix, TrainedPredictor } from "./trained_predictor.ts";

/** What to write. */
export interface WritePredictorsOptions extends WriteOptions {
  /** Path of a model; the first part of a split one stands for all. */
  readonly input: string;
  /** Path of the new file; what is there is replaced when the new file is complete. */
  readonly out: string;
  /** One a layer, the first layer's first. */
  readonly predictors: readonly TrainedPredictor[];
}

const COPY_BYTES = 4 << 20;
/** A neuron is computed when its score is at least this. */
const THRESHOLD = 0;

/**
 * Writes the file; predictors that the input has are left out.
 * @returns bytes of the file.
 * @throws {UsageError} when `out` is the input or a folder.
 * @throws {ModelFormatError} when the input cannot be read.
 * @throws the signal's reason when it is aborted.
 */
export async function writePredictors(options: WritePredictorsOptions): Promise<number> {
  const { input, out, predictors } = options;
  const file = openGguf(input);
  checkOutput(out, file);
  using reader = TensorReader.open(file);
  const buffer = new Uint8Array(COPY_BYTES);
  const kept = [...file.tensors.values()].filter(({ name }) => !isPredictor(name));
  return await writeGguf(out, {
    magic: magicOf(file),
    metadata: changedMetadata(file, [["powerinfer.sparse_threshold", f32(THRESHOLD)]]),
    tensors: [
      ...kept.map((tensor): TensorSpec => ({
        name: tensor.name,
        type: tensor.type,
        dims: tensor.dims,
        pieces: () => copiedPieces(reader, tensor, buffer),
      })),
      ...predictors.flatMap(({ fc1, fc2 }, layer) => [
        matrixSpec(`blk.${layer}.fc1.weight`, fc1),
        matrixSpec(`blk.${layer}.fc2.weight`, fc2),
      ]),
    ],
  }, options);
}

function isPredictor(name: string): boolean {
  return /^blk\.\d+\.fc[12]\.weight$/.test(name);
}

function matrixSpec(name: string, { type, rows, columns, bytes }: PredictorMatrix): TensorSpec {
  return { name, type, dims: [columns, rows], pieces: () => [bytes] };
}
