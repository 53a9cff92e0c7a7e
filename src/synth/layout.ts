/**
 * What a GGUF file of a given shape holds: its metadata and its tensors with their dimensions, in
 * the order of real files. Knows nothing of values.
 */
import { f32, type MetadataEntry, text, u32 } from "../gguf/mod.ts";
import { elementCount } from "../model/dtypes.ts";
import { planFeedForward } from "./feed_forward_layout.ts";
import { hybridMetadata, planHybridLayer } from "./hybrid_layout.ts";
import type { ModelShape } from "./shapes.ts";
import { fileTypeOf, type SynthQuant, type SynthType, synthTypes } from "./synth_types.ts";

/**
 * What a tensor is for, as far as its values depend on it. "residual" is a matrix whose product is
 * added to the residual stream, "residualByNeuron" the same with a row for each neuron; "decay"
 * says how fast states fade;
 * "predictorIn" and "predictorOut" are the two maps of a predictor of silent neurons.
 */
export type TensorRole =
  | "embedding"
  | "output"
  | "norm"
  | "bias"
  | "decay"
  | "gate"
  | "up"
  | "matrix"
  | "residual"
  | "residualByNeuron"
  | "predictorIn"
  | "predictorOut";

/** A tensor of a model that is made up. */
export interface PlannedTensor {
  readonly name: string;
  readonly role: TensorRole;
  readonly type: SynthType;
  /** ggml order: columns first; what is beyond the second is more rows. */
  readonly dims: readonly number[];
}

/** Rows of a matrix, all experts' together. */
export function rowCount({ dims }: PlannedTensor): number {
  return elementCount(dims.slice(1));
}

/** What a file may have beside the tensors of its shape. */
export interface Extras {
  /** Hidden units of the predictors; left out: there are none. */
  readonly predictorRank?: number;
  /** Down matrices as PowerInfer has them, a row for each neuron. */
  readonly downByNeuron?: boolean;
}

/** The metadata of a model without its tokenizer. */
export function modelMetadata(
  shape: ModelShape,
  file: { name: string; quant: SynthQuant },
): MetadataEntry[] {
  const arch = shape.architecture;
  const entries: MetadataEntry[] = [
    ["general.architecture", text(arch)],
    ["general.name", text(file.name)],
    ["general.file_type", u32(fileTypeOf(file.quant))],
    ["general.quantization_version", u32(2)],
    [`${arch}.context_length`, u32(shape.contextLength)],
    [`${arch}.embedding_length`, u32(shape.embeddingLength)],
    [`${arch}.block_count`, u32(shape.blockCount)],
    [`${arch}.feed_forward_length`, u32(shape.feedForwardLength)],
    ...expertMetadata(shape),
    [`${arch}.attention.head_count`, u32(shape.headCount)],
    [`${arch}.attention.head_count_kv`, u32(shape.headCountKv)],
    [`${arch}.attention.layer_norm_rms_epsilon`, f32(shape.rmsEpsilon)],
    ...shape.headDim === undefined ? [] : headLengths(arch, shape.headDim),
    ...shape.slidingWindow === undefined
      ? []
      : [[`${arch}.attention.sliding_window`, u32(shape.slidingWindow)] as const],
    [`${arch}.rope.dimension_count`, u32(headDimOf(shape))],
    [`${arch}.rope.freq_base`, f32(shape.ropeBase)],
    ...scalingMetadata(shape),
    [`${arch}.vocab_size`, u32(shape.vocabSize)],
    ...hybridMetadata(shape),
  ];
  // What a hybrid's layers have replaces what all would.
  return [...new Map(entries)];
}

function scalingMetadata({ architecture: arch, yarn }: ModelShape): MetadataEntry[] {
  if (yarn === undefined) return [];
  return [
    [`${arch}.rope.scaling.type`, text("yarn")],
    [`${arch}.rope.scaling.factor`, f32(yarn.factor)],
    [`${arch}.rope.scaling.original_context_length`, u32(yarn.originalContextLength)],
  ];
}

/** GGUF's number for sigmoid gating. */
const SIGMOID = 2;

function expertMetadata(shape: ModelShape): MetadataEntry[] {
  const { architecture: arch, experts } = shape;
  if (experts === undefined) return [];
  const own: MetadataEntry[] = [
    [`${arch}.expert_count`, u32(experts.count)],
    [`${arch}.expert_used_count`, u32(experts.usedCount)],
  ];
  if (arch === "llama") return own;
  own.push([`${arch}.expert_feed_forward_length`, u32(shape.feedForwardLength)]);
  return arch === "smallthinker" ? [...own, [`${arch}.expert_gating_func`, u32(SIGMOID)]] : own;
}

function headLengths(arch: string, headDim: number): MetadataEntry[] {
  return ["key_length", "value_length"].map((key) => [`${arch}.attention.${key}`, u32(headDim)]);
}

function headDimOf(shape: ModelShape): number {
  return shape.headDim ?? shape.embeddingLength / shape.headCount;
}

/** All tensors of a model; matrices have the types that `quant` gives them, vectors are F32. */
export function modelTensors(
  shape: ModelShape,
  quant: SynthQuant,
  extras: Extras = {},
): PlannedTensor[] {
  const tensors = floatTensors(shape, extras);
  const chosen = synthTypes(tensors, quant);
  return tensors.map((tensor) => {
    const isPredictor = tensor.role === "predictorIn" || tensor.role === "predictorOut";
    if (isPredictor) return { ...tensor, type: predictorType(quant) };
    return { ...tensor, type: chosen.get(tensor.name) ?? "F32" };
  });
}

/** PowerInfer's rule, and floats for floats. */
function predictorType(quant: SynthQuant): SynthType {
  if (quant === "Q4_0" || quant === "F32") return quant;
  return quant === "F16" || quant === "BF16" ? "F16" : "Q5_0";
}

function floatTensors(shape: ModelShape, extras: Extras): PlannedTensor[] {
  const { embeddingLength: width, vocabSize } = shape;
  const tensors: PlannedTensor[] = [
    { name: "token_embd.weight", role: "embedding", type: "F32", dims: [width, vocabSize] },
  ];
  for (let block = 0; block < shape.blockCount; block++) {
    const kind = shape.hybrid?.layers[block] ?? "*";
    if (kind === "*") tensors.push(...planAttention(shape, `blk.${block}`));
    if (shape.hybrid !== undefined) {
      tensors.push(...planHybridLayer(shape, shape.hybrid, block));
      continue;
    }
    tensors.push(...planFeedForward(shape, `blk.${block}`, extras));
  }
  tensors.push({ name: "output_norm.weight", role: "norm", type: "F32", dims: [width] });
  if (!shape.tied) {
    tensors.push({ name: "output.weight", role: "output", type: "F32", dims: [width, vocabSize] });
  }
  return tensors;
}

function planAttention(shape: ModelShape, block: string): PlannedTensor[] {
  const { embeddingLength: width } = shape;
  const headDim = headDimOf(shape);
  const queryWidth = headDim * shape.headCount;
  const keyWidth = headDim * shape.headCountKv;
  const vector = (name: string, role: TensorRole, length: number): PlannedTensor => (
    { name: `${block}.${name}`, role, type: "F32", dims: [length] }
  );
  const matrix = (
    name: string,
    dims: readonly [number, number],
    role: TensorRole = "matrix",
  ): PlannedTensor => ({ name: `${block}.${name}.weight`, role, type: "F32", dims });
  const { architecture } = shape;
  const isGptOss = architecture === "gpt-oss";
  const biases = architecture === "qwen2" || isGptOss
    ? [
      vector("attn_q.bias", "bias", queryWidth),
      vector("attn_k.bias", "bias", keyWidth),
      vector("attn_v.bias", "bias", keyWidth),
    ]
    : [];
  const headNorms = architecture === "qwen3" || architecture === "qwen3moe"
    ? [
      vector("attn_q_norm.weight", "norm", headDim),
      vector("attn_k_norm.weight", "norm", headDim),
    ]
    : [];
  const ends = isGptOss
    ? [
      vector("attn_output.bias", "bias", width),
      vector("attn_sinks.weight", "bias", shape.headCount),
    ]
    : [];
  return [
    vector("attn_norm.weight", "norm", width),
    matrix("attn_q", [width, queryWidth]),
    matrix("attn_k", [width, keyWidth]),
    matrix("attn_v", [width, keyWidth]),
    ...biases,
    ...headNorms,
    matrix("attn_output", [queryWidth, width], "residual"),
    ...ends,
  ];
}
