/**
 * Small models of every family with random weights, made from a seed: valid GGUF files of a few
 * hundred KiB, with a tokenizer and a chat template. No test needs a model from outside.
 */
import { dtypeByName } from "../../src/model/dtypes.ts";
import { encodeGguf, f32, type MetadataEntry, text, u32 } from "../../src/gguf/mod.ts";
import { encodeWeights } from "../../src/quantize/mod.ts";
import { weightDistribution } from "../../src/synth/distribution.ts";
import { type PlannedTensor, rowCount } from "../../src/synth/layout.ts";
import { randomBlocks } from "../../src/synth/random_blocks.ts";
import { SeededRandom } from "../../src/synth/seeded_random.ts";
import {
  encodableType,
  isRandomType,
  type SynthQuant,
  type SynthType,
} from "../../src/synth/synth_types.ts";
import { sentencePieceVocabulary } from "../../src/synth/vocabulary.ts";
import { Rng } from "./rng.ts";
import { ENCODER_FAMILIES, type TinyEncoderName } from "./tiny_encoder_families.ts";
import { FILL_FAMILIES, type TinyFillName } from "./tiny_fill_families.ts";
import { SOURCE_FAMILIES, type TinySourceName } from "./tiny_source_families.ts";
import { TINY_FAMILIES, type TinyFamilyName } from "./tiny_families.ts";
import type { TinyFamily } from "./tiny_family.ts";
import { listedExperts } from "./tiny_compressed_layout.ts";
import { keepConstant, predictorWeights } from "./tiny_predictor.ts";
import { sizeOfStreams } from "./tiny_layered.ts";
import { tinyMetadata, type TinyShape, type TinyTensor, tinyTensors } from "./tiny_layout.ts";

/**
 * Families of all kinds: those that go on with a text, encoders, those that answer a source, and
 * those that fill in a text.
 */
export type TinyModelName = TinyFamilyName | TinyEncoderName | TinySourceName | TinyFillName;
export const TINY_MODELS: Readonly<Record<TinyModelName, TinyFamily>> = {
  ...TINY_FAMILIES,
  ...ENCODER_FAMILIES,
  ...SOURCE_FAMILIES,
  ...FILL_FAMILIES,
};

/** What may be chosen; the rest is the family's, or that of `TINY_SHAPE`. */
export interface TinyModelOptions extends Partial<TinyShape> {
  /** A family, or after a dash a form of it. Default "llama". */
  readonly architecture?: TinyModelName;
  readonly seed?: number;
  /** Type of all matrices, or a mixture; what rows do not fit gets another type. Default F32. */
  readonly type?: SynthQuant;
  /** Types of single tensors; undefined leaves the type that the tensor would have. */
  readonly typeOf?: (name: string) => SynthType | undefined;
  /** Tokens; left out: the family's. */
  readonly slidingWindow?: number;
  readonly ropeScaling?: {
    readonly type: "linear" | "yarn";
    readonly factor: number;
    readonly originalContextLength: number;
  };
  /** Adds Llama 3's tensor of divisors of the rotary frequencies. */
  readonly ropeFactors?: boolean;
  /** PowerInfer's magic, and down as it is there. */
  readonly magic?: "GGUF" | "PWRI";
  /** What the family's files have otherwise. */
  readonly changes?: Partial<TinyFamily>;
  /** Entries that replace or add to the file's metadata. */
  readonly metadata?: readonly MetadataEntry[];
}

/** The shape of a tiny model where neither options nor family say anything. */
export const TINY_SHAPE: Omit<TinyShape, "headDim" | "predictor"> = {
  blockCount: 2,
  embeddingLength: 64,
  feedForwardLength: 96,
  headCount: 4,
  headCountKv: 2,
  vocabSize: 512,
  contextLength: 256,
  epsilon: 1e-5,
  ropeBase: 10000,
  tied: false,
  hasDownTransposed: false,
};

/** Ids that every tiny model knows, no special tokens: longer than the windows of the families. */
export const TINY_PROMPT: readonly number[] = randomIds(48);

/** A tensor whose bytes are made up. */
type FilledTensor = TinyTensor & { readonly pieces: () => Uint8Array[] };

/** The bytes of a GGUF file. Same options, same bytes. */
export function tinyModel(options: TinyModelOptions = {}): Uint8Array<ArrayBuffer> {
  const name = options.architecture ?? "llama";
  const family: TinyFamily = { ...TINY_MODELS[name], ...options.changes };
  const architecture = family.architecture ?? name;
  const shape = shapeOf(family, options);
  const type = options.type ?? "F32";
  const rng = new Rng(options.seed ?? 1);
  const predicting = shape.predictor && predictorWeights(shape, family, options.seed ?? 1);
  const tensors = tinyTensors(shape, family, type).map((planned): FilledTensor => {
    if (planned.role === "table") {
      const [used, tokens] = planned.dims, { count } = family.experts!;
      const bytes = listedExperts(rng, { tokens, used, count });
      return { ...planned, pieces: () => [bytes] };
    }
    const tensor = { ...planned, type: options.typeOf?.(planned.name) ?? planned.type };
    const random = () => randomWeights(tensor, { shape, family, rng });
    if (isRandomType(tensor.type)) {
      const bytes = randomCodes(tensor, { shape, family, rng });
      return { ...tensor, pieces: () => [bytes] };
    }
    const values = predicting
      ? predicting.get(tensor.name) ?? keepConstant(tensor.name, random(), tensor)
      : random();
    const bytes = encodeWeights(encodableType(tensor), values);
    return { ...tensor, pieces: () => [bytes] };
  });
  const length = (family.rotatedDims ?? shape.headDim) / 2;
  if (options.ropeFactors) tensors.push(ropeFactors("rope_freqs", length, 8));
  if (family.longRope) tensors.push(ropeFactors("rope_factors_short", length, 1.5));
  if (family.longRope) tensors.push(ropeFactors("rope_factors_long", length, 20));
  const metadata = new Map([
    ...tinyMetadata(shape, family, { architecture, type }),
    ...vocabularyOf(shape.vocabSize),
    ...contextMetadata(architecture, options),
    ...options.metadata ?? [],
  ]);
  return encodeGguf({ magic: options.magic, metadata: [...metadata], tensors });
}

/** By size, for most models have the same one. */
const vocabularies = new Map<number, readonly MetadataEntry[]>();

function vocabularyOf(size: number): readonly MetadataEntry[] {
  const made = vocabularies.get(size) ?? sentencePieceVocabulary(size);
  vocabularies.set(size, made);
  return made;
}

function randomIds(count: number): number[] {
  const rng = new Rng(77);
  return Array.from({ length: count }, () => 3 + rng.int(TINY_SHAPE.vocabSize - 3));
}

/** An option that is there but undefined leaves the family's, and that the default. */
function shapeOf(family: TinyFamily, options: TinyModelOptions): TinyShape {
  const { embeddingLength, headCount } = { ...TINY_SHAPE, ...definedOnly(options) };
  const headDim = embeddingLength / headCount;
  const hasDownTransposed = options.magic === "PWRI";
  return {
    ...{ headDim, ...TINY_SHAPE, hasDownTransposed },
    ...definedOnly(family),
    ...definedOnly(options),
  };
}

function definedOnly<T extends object>(some: T): Partial<T> {
  const entries = Object.entries(some).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<T>;
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

/** Divisors that grow from 1 to nearly `most`. */
function ropeFactors(name: string, length: number, most: number): FilledTensor {
  const values = Float32Array.from({ length }, (_, i) => 1 + (most - 1) * i / length);
  const bytes = encodeWeights("F32", values);
  return {
    name: `${name}.weight`,
    role: "bias",
    type: "F32",
    dims: [length],
    pieces: () => [bytes],
  };
}

function randomWeights(
  tensor: PlannedTensor,
  { shape, family, rng }: { shape: TinyShape; family: TinyFamily; rng: Rng },
): Float32Array {
  const count = tensor.dims.reduce((product, dimension) => product * dimension);
  // Decays of state spaces are below 0.
  if (tensor.name.endsWith(".ssm_a")) {
    const sign = family.stateSpace?.hasSpeeds ? 1 : -1;
    return rng.normals(count, (normal) => sign * Math.exp(normal));
  }
  const { mean, deviation } = weightDistribution(tensor, shape);
  const size = sizeOf(tensor, shape, family);
  return rng.normals(count, (normal) => size * (mean + deviation * normal));
}

/** Blocks of a type that no floats are encoded in. */
function randomCodes(
  tensor: PlannedTensor,
  { shape, family, rng }: { shape: TinyShape; family: TinyFamily; rng: Rng },
): Uint8Array {
  const weights = tensor.dims[0] * rowCount(tensor);
  return randomBlocks(tensor.type, {
    count: weights / dtypeByName(tensor.type)!.blockElements,
    deviation: sizeOf(tensor, shape, family) * weightDistribution(tensor, shape).deviation,
    random: new SeededRandom(rng.int(2 ** 31)),
  });
}

/** How much larger or smaller a family wants a tensor's weights. */
function sizeOf({ name }: PlannedTensor, shape: TinyShape, family: TinyFamily): number {
  return tiedSize(name, shape.tied ? family.embeddingScale ?? 1 : 1) *
    (family.layered?.altUp ? sizeOfStreams(name, shape) : 1) *
    (name.endsWith("_res_score.weight") ? SCORE_SIZE : 1) *
    (family.headGains ? gainSize(name) : 1);
}

/** What was kept before is told apart, but scores do not make much of rounding. */
const SCORE_SIZE = 0.25;

/** Gains of heads, and factors of what blocks give, are not nearly 1, nor embeddings' lengths. */
function gainSize(name: string): number {
  if (name === "token_embd.weight") return 0.3;
  if (name.endsWith(".attn_q_norm.weight")) return 2;
  return name.endsWith(".scale") ? 0.4 : 1;
}

/** Embeddings shrink and the last norm grows by what the family scales tied embeddings by. */
function tiedSize(name: string, embeddingScale: number): number {
  if (name === "token_embd.weight") return 1 / embeddingScale;
  return name === "output_norm.weight" ? embeddingScale : 1;
}
