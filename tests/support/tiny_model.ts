/**
 * Small models with random weights, made from a seed: valid GGUF files of a few hundred KiB, with
 * a tokenizer and a chat template. No test needs a model from outside.
 */
import { encodeGguf, f32, type MetadataEntry, text, u32 } from "../../src/gguf/mod.ts";
import { encodeWeights, type Quant, type WeightType } from "../../src/quantize/mod.ts";
import { weightDistribution } from "../../src/synth/distribution.ts";
import { modelMetadata, modelTensors, type PlannedTensor } from "../../src/synth/layout.ts";
import type { ModelShape } from "../../src/synth/shapes.ts";
import { sentencePieceVocabulary } from "../../src/synth/vocabulary.ts";
import { Rng } from "./rng.ts";

/** What may be chosen; the rest of the shape has defaults, see `TINY_SHAPE`. */
export interface TinyModelOptions extends Partial<ModelShape> {
  readonly seed?: number;
  /** Type of all matrices, or a mixture; what rows do not fit gets another type. Default F32. */
  readonly type?: Quant;
  /** Types of single tensors; undefined leaves the type that the tensor would have. */
  readonly typeOf?: (name: string) => WeightType | undefined;
  /** Tokens; left out: no window. */
  readonly slidingWindow?: number;
  readonly ropeScaling?: {
    readonly type: "linear" | "yarn";
    readonly factor: number;
    readonly originalContextLength: number;
  };
  /** Adds Llama 3's tensor of divisors of the rotary frequencies. */
  readonly ropeFactors?: boolean;
  /** Entries that replace or add to the file's metadata. */
  readonly metadata?: readonly MetadataEntry[];
}

/** The shape of a tiny model where the options say nothing. */
export const TINY_SHAPE: ModelShape = {
  architecture: "llama",
  blockCount: 2,
  embeddingLength: 64,
  feedForwardLength: 96,
  headCount: 4,
  headCountKv: 2,
  vocabSize: 512,
  contextLength: 256,
  rmsEpsilon: 1e-5,
  ropeBase: 10000,
  tied: false,
};

/** The bytes of a GGUF file. Same options, same bytes. */
export function tinyModel(options: TinyModelOptions = {}): Uint8Array<ArrayBuffer> {
  const shape: ModelShape = { ...TINY_SHAPE, ...definedOnly(options) };
  const type = options.type ?? "F32";
  const rng = new Rng(options.seed ?? 1);
  const tensors = modelTensors(shape, type).map((planned) => {
    const tensor = { ...planned, type: options.typeOf?.(planned.name) ?? planned.type };
    const bytes = encodeWeights(tensor.type, randomWeights(tensor, shape, rng));
    return { ...tensor, pieces: () => [bytes] };
  });
  if (options.ropeFactors) {
    const length = shape.embeddingLength / shape.headCount / 2;
    const bytes = encodeWeights("F32", Float32Array.from({ length }, (_, i) => 1 + 7 * i / length));
    const dims = [length];
    tensors.push({
      name: "rope_freqs.weight",
      role: "bias",
      type: "F32",
      dims,
      pieces: () => [bytes],
    });
  }
  const metadata = new Map([
    ...modelMetadata(shape, { name: "tiny", quant: type }),
    ...sentencePieceVocabulary(shape.vocabSize),
    ...contextMetadata(shape.architecture, options),
    ...options.metadata ?? [],
  ]);
  return encodeGguf({ metadata: [...metadata], tensors });
}

/** An option that is there but undefined leaves the default. */
function definedOnly(options: TinyModelOptions): Partial<ModelShape> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function contextMetadata(architecture: string, options: TinyModelOptions): MetadataEntry[] {
  const entries: MetadataEntry[] = [];
  if (options.slidingWindow) {
    entries.push([`${architecture}.attention.sliding_window`, u32(options.slidingWindow)]);
  }
  if (options.ropeScaling) {
    const { type, factor, originalContextLength } = options.ropeScaling;
    const key = `${architecture}.rope.scaling`;
    entries.push([`${key}.type`, text(type)]);
    entries.push([`${key}.factor`, f32(factor)]);
    entries.push([`${key}.original_context_length`, u32(originalContextLength)]);
  }
  return entries;
}

function randomWeights(tensor: PlannedTensor, shape: ModelShape, rng: Rng): Float32Array {
  const count = tensor.dims.reduce((product, dimension) => product * dimension);
  const { mean, deviation } = weightDistribution(tensor, shape);
  return Float32Array.from({ length: count }, () => mean + deviation * rng.normal());
}
