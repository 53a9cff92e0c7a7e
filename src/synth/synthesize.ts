/**
 * Makes GGUF files of real models' shapes with random weights, for speed work: as fast as they can
 * be written, in flat memory. Any engine that reads GGUF can load them.
 */
import { UsageError } from "../base/errors.ts";
import {
  type MetadataEntry,
  type TensorSpec,
  text,
  writeGguf,
  type WriteProgress,
} from "../gguf/mod.ts";
import { type Quant, QUANTS } from "../quantize/mod.ts";
import { modelMetadata, modelTensors, type PlannedTensor } from "./layout.ts";
import { Pools } from "./pools.ts";
import { SeededRandom } from "./seeded_random.ts";
import { type ModelShape, type ShapeName, SHAPES } from "./shapes.ts";
import { SparseWeights } from "./sparse_weights.ts";
import { SPARSITY_MAX, SPARSITY_MIN } from "./sparsity.ts";
import { bytePairVocabulary, sentencePieceVocabulary } from "./vocabulary.ts";

/** What to make. */
export interface SynthesizeOptions {
  readonly shape: ShapeName;
  /** Type of all matrices, or a mixture. */
  readonly quant: Quant;
  /**
   * Share of neurons that are silent on average, between 0 and 1; makes it a ReLU model. Left out:
   * an ordinary SiLU model.
   */
  readonly sparsity?: number;
  /** Same seed, same file. */
  readonly seed: number;
  /** Path of the file; what is there is replaced when the new file is complete. */
  readonly out: string;
  readonly onProgress?: WriteProgress;
}

/** What was made. */
export interface SynthesizeResult {
  /** Size of the file. */
  readonly bytes: number;
  /** Weights in all tensors. */
  readonly params: number;
}

/**
 * Writes the file.
 * @throws {UsageError} when there is no such shape or type, or the sparsity is out of range.
 */
export function synthesize(options: SynthesizeOptions): SynthesizeResult {
  checkOptions(options);
  return synthesizeShape(SHAPES[options.shape], { ...options, name: options.shape });
}

/** As `synthesize`, for a shape that has no name. */
export function synthesizeShape(
  shape: ModelShape,
  options: Omit<SynthesizeOptions, "shape"> & { readonly name: string },
): SynthesizeResult {
  const { quant, sparsity, seed, out, name } = options;
  const random = new SeededRandom(seed);
  const pools = new Pools(shape, random);
  const sparse = sparsity === undefined ? null : new SparseWeights(sparsity, random);
  const planned = modelTensors(shape, quant);
  const tensors = planned.map((tensor): TensorSpec => ({
    ...tensor,
    pieces: () => sparse?.pieces(tensor, pools) ?? pools.pieces(tensor),
  }));
  const metadata: MetadataEntry[] = [
    ...modelMetadata(shape, { name: `synth ${name} ${quant}`, quant }),
    ...shape.architecture === "llama"
      ? sentencePieceVocabulary(shape.vocabSize)
      : bytePairVocabulary(shape.vocabSize),
  ];
  if (sparse) metadata.push([`${shape.architecture}.hidden_activation`, text("relu")]);
  const bytes = writeGguf(out, { metadata, tensors }, options.onProgress);
  return { bytes, params: planned.reduce((sum, tensor) => sum + elementCount(tensor), 0) };
}

function checkOptions({ shape, quant, sparsity }: SynthesizeOptions): void {
  if (!Object.hasOwn(SHAPES, shape)) {
    const known = Object.keys(SHAPES).join(", ");
    throw new UsageError(`Cannot make a model of shape "${shape}": choose one of ${known}`);
  }
  if (!QUANTS.includes(quant)) {
    const known = QUANTS.join(", ");
    throw new UsageError(`Cannot make a model of type "${quant}": choose one of ${known}`);
  }
  if (sparsity === undefined) return;
  if (!(sparsity >= SPARSITY_MIN && sparsity <= SPARSITY_MAX)) {
    const range = `${SPARSITY_MIN} to ${SPARSITY_MAX}`;
    throw new UsageError(`Cannot make a model of sparsity ${sparsity}: give a share from ${range}`);
  }
  if (SHAPES[shape].tied) {
    const state = "its output projection is its embedding table";
    throw new UsageError(
      `Cannot make a sparse model of shape "${shape}": ${state}: choose another`,
    );
  }
}

function elementCount({ dims }: PlannedTensor): number {
  return dims.reduce((product, dimension) => product * dimension);
}
