/**
 * What a GGUF file of a given shape holds: its metadata and its tensors with their dimensions, in
 * the order of real files. Knows nothing of values.
 */
import { f32, type MetadataEntry, text, u32 } from "../gguf/mod.ts";
import type { WeightType } from "./quantize_blocks.ts";
import type { ModelShape } from "./shapes.ts";

/**
 * What a tensor is for, as far as its values depend on it; "residual" is a matrix whose product is
 * added to the residual stream.
 */
export type TensorRole = "embedding" | "output" | "norm" | "bias" | "gate" | "matrix" | "residual";

/** A tensor of a model that is made up. */
export interface PlannedTensor {
  readonly name: string;
  readonly role: TensorRole;
  readonly type: WeightType;
  /** ggml order: columns first. */
  readonly dims: readonly number[];
}

/** llama.cpp's `general.file_type` of a file whose matrices have this type. */
const FILE_TYPES: Readonly<Record<WeightType, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q8_0: 7,
  BF16: 32,
};

/** The metadata of a model without its tokenizer. */
export function modelMetadata(
  shape: ModelShape,
  file: { name: string; type: WeightType },
): MetadataEntry[] {
  const arch = shape.architecture;
  return [
    ["general.architecture", text(arch)],
    ["general.name", text(file.name)],
    ["general.file_type", u32(FILE_TYPES[file.type])],
    ["general.quantization_version", u32(2)],
    [`${arch}.context_length`, u32(shape.contextLength)],
    [`${arch}.embedding_length`, u32(shape.embeddingLength)],
    [`${arch}.block_count`, u32(shape.blockCount)],
    [`${arch}.feed_forward_length`, u32(shape.feedForwardLength)],
    [`${arch}.attention.head_count`, u32(shape.headCount)],
    [`${arch}.attention.head_count_kv`, u32(shape.headCountKv)],
    [`${arch}.attention.layer_norm_rms_epsilon`, f32(shape.rmsEpsilon)],
    [`${arch}.rope.dimension_count`, u32(shape.embeddingLength / shape.headCount)],
    [`${arch}.rope.freq_base`, f32(shape.ropeBase)],
    [`${arch}.vocab_size`, u32(shape.vocabSize)],
  ];
}

/** All tensors of a model; matrices have `type`, vectors are F32. */
export function modelTensors(shape: ModelShape, type: WeightType): PlannedTensor[] {
  const { embeddingLength: width, vocabSize } = shape;
  const tensors: PlannedTensor[] = [
    { name: "token_embd.weight", role: "embedding", type, dims: [width, vocabSize] },
  ];
  for (let block = 0; block < shape.blockCount; block++) {
    tensors.push(...blockTensors(shape, type, `blk.${block}`));
  }
  tensors.push({ name: "output_norm.weight", role: "norm", type: "F32", dims: [width] });
  if (!shape.tied) {
    tensors.push({ name: "output.weight", role: "output", type, dims: [width, vocabSize] });
  }
  return tensors;
}

function blockTensors(shape: ModelShape, type: WeightType, block: string): PlannedTensor[] {
  const { embeddingLength: width, feedForwardLength: neurons } = shape;
  const keyWidth = width / shape.headCount * shape.headCountKv;
  const vector = (name: string, role: TensorRole, length: number): PlannedTensor => (
    { name: `${block}.${name}`, role, type: "F32", dims: [length] }
  );
  const matrix = (name: string, dims: readonly [number, number], role: TensorRole = "matrix") => (
    { name: `${block}.${name}.weight`, role, type, dims }
  );
  const biases = shape.architecture === "qwen2"
    ? [
      vector("attn_q.bias", "bias", width),
      vector("attn_k.bias", "bias", keyWidth),
      vector("attn_v.bias", "bias", keyWidth),
    ]
    : [];
  return [
    vector("attn_norm.weight", "norm", width),
    matrix("attn_q", [width, width]),
    matrix("attn_k", [width, keyWidth]),
    matrix("attn_v", [width, keyWidth]),
    ...biases,
    matrix("attn_output", [width, width], "residual"),
    vector("ffn_norm.weight", "norm", width),
    matrix("ffn_gate", [width, neurons], "gate"),
    matrix("ffn_up", [width, neurons]),
    matrix("ffn_down", [neurons, width], "residual"),
  ];
}
