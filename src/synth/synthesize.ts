/**
 * Makes GGUF files of real models' shapes with random weights, for speed work: as fast as they can
 * be written, in flat memory. Any engine that reads GGUF can load them.
 */
import { UsageError } from "../base/errors.ts";
import {
  f32,
  type MetadataEntry,
  type TensorSpec,
  text,
  writeGguf,
  type WriteOptions,
} from "../gguf/mod.ts";
import { elementCount, tensorBytes } from "../model/dtypes.ts";
import { modelMetadata, modelTensors } from "./layout.ts";
import { Pools } from "./pools.ts";
import { SeededRandom } from "./seeded_random.ts";
import {
  isReluFamily,
  mayBeSparse,
  type ModelShape,
  PREDICTOR_RANK_MIN,
  predictorRank,
  rectifiesUp,
  type ShapeName,
  SHAPES,
} from "./shapes.ts";
import { SparseWeights } from "./sparse_weights.ts";
import { DRELU_SPARSITY_MIN, SPARSITY_MAX, SPARSITY_MIN } from "./sparsity.ts";
import { isRandomType, SYNTH_QUANTS, type SynthQuant } from "./synth_types.ts";
import { bytePairVocabulary, sentencePieceVocabulary } from "./vocabulary.ts";

/** What to make. */
export interface SynthesizeOptions extends WriteOptions {
  readonly shape: ShapeName;
  /** Type of all matrices, or a mixture. */
  readonly quant: SynthQuant;
  /**
   * Share of neurons whose product is zero on average, between 0 and 1; makes it a ReLU model. A
   * dReLU neuron's product is zero where either half is: its gate fires 1 / 0.9 times as often.
   * Left out: the shape's activation with ordinary weights.
   */
  readonly sparsity?: number;
  /** Adds predictors of silent neurons. */
  readonly predictors?: boolean;
  /** Hidden units of the predictors, a multiple of 32; left out: as many as real files have. */
  readonly predictorRank?: number;
  /** Makes PowerInfer's form of the file: another magic, down matrices neuron by neuron. */
  readonly powerInfer?: boolean;
  /** Same seed, same file. */
  readonly seed: number;
  /** Path of the file; what is there is replaced when the new file is complete. */
  readonly out: string;
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
 * @throws {UsageError} when there is no such shape or type, or the options do not go together.
 * @throws the signal's reason when it is aborted.
 */
export async function synthesize(options: SynthesizeOptions): Promise<SynthesizeResult> {
  if (!Object.hasOwn(SHAPES, options.shape)) {
    const known = Object.keys(SHAPES).join(", ");
    throw new UsageError(`Cannot make a model of shape "${options.shape}": choose one of ${known}`);
  }
  return await synthesizeShape(SHAPES[options.shape], { ...options, name: options.shape });
}

/** As `synthesize`, for a shape that has no name. */
export async function synthesizeShape(
  shape: ModelShape,
  options: Omit<SynthesizeOptions, "shape"> & { readonly name: string },
): Promise<SynthesizeResult> {
  const { name, quant, sparsity, seed, out, powerInfer = false } = options;
  const rank = chooseRank(shape, options);
  checkOptions(shape, { ...options, rank });
  const random = new SeededRandom(seed);
  const sparse = sparsity === undefined
    ? null
    : new SparseWeights(shape, { sparsity, predictorRank: rank }, random);
  const extras = { predictorRank: rank, downByNeuron: powerInfer };
  const planned = modelTensors(shape, quant, extras);
  const pools = new Pools(
    shape,
    random,
    planned.reduce((sum, each) => sum + tensorBytes(each.type, each.dims), 0),
  );
  const tensors = planned.map((tensor): TensorSpec => ({
    ...tensor,
    pieces: () => sparse?.pieces(tensor, pools) ?? pools.pieces(tensor),
  }));
  const metadata: MetadataEntry[] = [
    ...modelMetadata(shape, { name: `synth ${name} ${quant}`, quant }),
    ...vocabulary(shape),
    ...neuronMetadata(shape, sparse !== null),
    ...powerInfer ? [["powerinfer.sparse_threshold", f32(0)] as const] : [],
  ];
  const magic = powerInfer ? "PWRI" : "GGUF";
  const bytes = await writeGguf(out, { magic, metadata, tensors }, options);
  return { bytes, params: planned.reduce((sum, tensor) => sum + elementCount(tensor.dims), 0) };
}

/** Hidden units of the predictors; undefined: there are none. */
function chooseRank(
  shape: ModelShape,
  { predictors, predictorRank: rank, powerInfer }: Partial<SynthesizeOptions>,
): number | undefined {
  if (!predictors && !powerInfer && rank === undefined) return undefined;
  return rank ?? predictorRank(shape);
}

function vocabulary({ architecture, vocabSize }: ModelShape): MetadataEntry[] {
  const isLlamaLike = architecture === "llama" || architecture === "bamboo";
  return isLlamaLike ? sentencePieceVocabulary(vocabSize) : bytePairVocabulary(vocabSize);
}

/** What the family would not know of the model's neurons. */
function neuronMetadata(shape: ModelShape, isSparse: boolean): MetadataEntry[] {
  if (isReluFamily(shape)) return [];
  const activation = shape.activation ?? (isSparse ? "relu" : null);
  if (activation === null) return [];
  return [[`${shape.architecture}.hidden_activation`, text(activation)]];
}

/** Options that must go together, with the rank that was chosen. */
type Checked = Pick<SynthesizeOptions, "quant" | "sparsity" | "powerInfer"> & {
  readonly name: string;
  readonly rank: number | undefined;
};

function checkOptions(shape: ModelShape, options: Checked): void {
  const { name, quant, sparsity } = options;
  if (!SYNTH_QUANTS.includes(quant)) {
    const known = SYNTH_QUANTS.join(", ");
    throw new UsageError(`Cannot make a model of type "${quant}": choose one of ${known}`);
  }
  checkPredictors(shape, options);
  if (sparsity === undefined) return;
  if (isRandomType(quant)) {
    throw new UsageError(
      `Cannot make a sparse model of type "${quant}": single weights cannot be set in it: choose ` +
        "another",
    );
  }
  const least = rectifiesUp(shape) ? DRELU_SPARSITY_MIN : SPARSITY_MIN;
  if (!(sparsity >= least && sparsity <= SPARSITY_MAX)) {
    const range = `${least} to ${SPARSITY_MAX}`;
    throw new UsageError(`Cannot make a model of sparsity ${sparsity}: give a share from ${range}`);
  }
  if (!mayBeSparse(shape)) {
    const state = shape.tied
      ? "its output projection is its embedding table"
      : shape.hybrid
      ? "its neurons have no gates"
      : "its neurons have no ReLU";
    throw new UsageError(`Cannot make a sparse model of shape "${name}": ${state}: choose another`);
  }
}

function checkPredictors(shape: ModelShape, { name, sparsity, rank, powerInfer }: Checked): void {
  if (rank === undefined) return;
  if (sparsity === undefined) {
    throw new UsageError("Cannot make predictors of a model that is not sparse: give a sparsity");
  }
  const most = shape.embeddingLength;
  if (!(rank % 32 === 0 && rank >= PREDICTOR_RANK_MIN && rank <= most)) {
    throw new UsageError(
      `Cannot make predictors of rank ${rank}: give a multiple of 32 from ${PREDICTOR_RANK_MIN} ` +
        `to the model's width, ${most}`,
    );
  }
  if (!powerInfer) return;
  const isKnown = shape.architecture === "llama" || shape.architecture === "bamboo";
  if (shape.experts || !isKnown) {
    throw new UsageError(
      `Cannot make PowerInfer's form of shape "${name}": it knows no such models: choose one of ` +
        "the families llama and bamboo without experts",
    );
  }
}
