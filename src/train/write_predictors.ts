/**
 * A model file with predictors: everything as it was, bit for bit, and two matrices more a layer,
 * under the names and with the key that PowerInfer's files have; of a mixture's layer all experts'
 * in two tensors, by names of our own (src/model/powerinfer.ts). The magic stays what it was.
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
import type { MatrixForm } from "./trained_predictor.ts";

/** A layer's predictors. */
export interface LayerPredictors {
  /** How many experts have one; null: the only one is a dense block's. */
  readonly expertCount: number | null;
  /** Of each, [rank, d] and [neurons, rank]. */
  readonly fc1: MatrixForm;
  readonly fc2: MatrixForm;
  /** The bytes of one matrix, of all experts one behind the other, in pieces of any size. */
  readonly pieces: (which: "fc1" | "fc2") => Iterable<Uint8Array>;
}

/** What to write. */
export interface WritePredictorsOptions extends WriteOptions {
  /** Path of a model; the first part of a split one stands for all. */
  readonly input: string;
  /** Path of the new file; what is there is replaced when the new file is complete. */
  readonly out: string;
  /** One a layer, the first layer's first. */
  readonly layers: readonly LayerPredictors[];
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
  const { input, out, layers } = options;
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
      ...layers.flatMap(layerSpecs),
    ],
  }, options);
}

function isPredictor(name: string): boolean {
  return /^blk\.\d+\.(fc[12]|ffn_fc[12]_exps)\.weight$/.test(name);
}

function layerSpecs(predictors: LayerPredictors, layer: number): TensorSpec[] {
  const { expertCount, pieces } = predictors;
  return (["fc1", "fc2"] as const).map((which) => {
    const { type, rows, columns } = predictors[which];
    const name = expertCount === null ? which : `ffn_${which}_exps`;
    return {
      ...{ name: `blk.${layer}.${name}.weight`, type },
      dims: expertCount === null ? [columns, rows] : [columns, rows, expertCount],
      pieces: () => pieces(which),
    };
  });
}
