/**
 * Metadata keys to hyper-parameters. Knows the names of keys and what values make sense together;
 * looks at tensors only for what they alone tell: vocabulary size, tied embeddings, biases.
 */
import { UnsupportedModelError } from "../base/errors.ts";
import type { GgufFile } from "../gguf/mod.ts";
import type { Family } from "./family.ts";
import { formatError, Hyperparameters } from "./hyperparameters.ts";
import type { ModelConfig, RopeConfig, RopeScaling } from "./types.ts";

/** More blocks than any model has; keeps a corrupt count from becoming a million names. */
const BLOCK_COUNT_MAX = 1024;

/**
 * The hyper-parameters of a model.
 * @throws {ModelFormatError} when a key is missing or values contradict each other or the file.
 * @throws {UnsupportedModelError} when the model asks for something this version does not compute.
 */
export function readConfig(file: GgufFile, family: Family): ModelConfig {
  const keys = new Hyperparameters(file, family.architecture);
  refuseOtherArithmetic(keys, family);
  const embeddingLength = keys.integer("embedding_length", { min: 1 });
  const heads = readHeads(keys, embeddingLength);
  const contextLength = keys.integer("context_length", { min: 1 });
  return {
    architecture: family.architecture,
    blockCount: readBlockCount(file, keys),
    embeddingLength,
    feedForwardLength: keys.integer("feed_forward_length", { min: 1 }),
    ...heads,
    vocabSize: readVocabSize(file, keys),
    contextLength,
    rmsEpsilon: keys.float("attention.layer_norm_rms_epsilon", { min: 0 }),
    rope: {
      kind: family.ropeKind,
      dimensionCount: readRotatedDimensions(keys, heads.headDim),
      frequencyBase: keys.float("rope.freq_base", { min: 0, absent: 10000 }),
      scaling: readRopeScaling(keys, contextLength),
      factorsTensor: file.tensors.has("rope_freqs.weight") ? "rope_freqs.weight" : null,
    },
    slidingWindow: family.slidingWindow
      ? keys.integer("attention.sliding_window", { min: 0, absent: 0 })
      : 0,
    tiedEmbeddings: !file.tensors.has("output.weight"),
    qkvBias: family.qkvBias === "required" || file.tensors.has("blk.0.attn_q.bias"),
  };
}

/** Some models differ by a key alone; computed as usual they would talk nonsense. */
function refuseOtherArithmetic(keys: Hyperparameters, family: Family): void {
  const name = family.architecture;
  if (keys.integer("expert_count", { min: 0, absent: 0 }) > 0) {
    throw new UnsupportedModelError(
      `Cannot run this ${name} model: it is a mixture of experts ("${name}.expert_count" > 0), ` +
        "which this version does not compute: use a dense model",
    );
  }
  const activation = keys.text("hidden_activation") ?? "silu";
  if (activation === "relu") {
    throw new UnsupportedModelError(
      `Cannot run this ${name} model: "${name}.hidden_activation" is "relu": sparse ReLU models ` +
        "come with a later version, use a SiLU model",
    );
  }
  if (activation !== "silu" && activation !== "swish") {
    throw new UnsupportedModelError(
      `Cannot run this ${name} model: "${name}.hidden_activation" is ` +
        `${JSON.stringify(activation)}: this version computes SiLU only`,
    );
  }
}

function readBlockCount(file: GgufFile, keys: Hyperparameters): number {
  const blockCount = keys.integer("block_count", { min: 1, max: BLOCK_COUNT_MAX });
  if (blockCount > file.tensors.size) {
    throw keys.wrong("block_count", `at most the number of tensors, ${file.tensors.size}`);
  }
  return blockCount;
}

function readHeads(keys: Hyperparameters, embeddingLength: number) {
  const headCount = keys.integer("attention.head_count", { min: 1 });
  const headCountKv = keys.integer("attention.head_count_kv", { min: 1, absent: headCount });
  if (headCount % headCountKv !== 0) {
    throw keys.wrong("attention.head_count_kv", `a divisor of the head count, ${headCount}`);
  }
  if (!keys.has("attention.key_length") && embeddingLength % headCount !== 0) {
    throw keys.wrong("attention.head_count", `a divisor of the width, ${embeddingLength}`);
  }
  const absent = embeddingLength / headCount;
  const headDim = keys.integer("attention.key_length", { min: 1, absent });
  const valueDim = keys.integer("attention.value_length", { min: 1, absent: headDim });
  if (valueDim !== headDim) {
    throw new UnsupportedModelError(
      `Cannot run this model: its value heads have ${valueDim} dimensions, its key heads ` +
        `${headDim}: this version needs them equal`,
    );
  }
  return { headCount, headCountKv, headDim };
}

function readVocabSize(file: GgufFile, keys: Hyperparameters): number {
  const rows = file.tensors.get("token_embd.weight")?.dims[1];
  if (rows === undefined) {
    throw formatError(
      file,
      'Cannot find tensor "token_embd.weight" with one row per token: every model needs it: ' +
        "get the file again or convert the model again",
    );
  }
  const vocabSize = keys.integer("vocab_size", { min: 1, absent: rows });
  if (vocabSize !== rows) {
    throw keys.wrong("vocab_size", `the number of rows of "token_embd.weight", ${rows}`);
  }
  const tokens = file.metadata.get("tokenizer.ggml.tokens");
  const tokenCount = typeof tokens === "object" ? tokens.length : rows;
  if (tokenCount !== rows) {
    throw formatError(
      file,
      `Cannot use metadata "tokenizer.ggml.tokens": it lists ${tokenCount} tokens, ` +
        `"token_embd.weight" has ${rows} rows: convert the model again`,
    );
  }
  return vocabSize;
}

function readRotatedDimensions(keys: Hyperparameters, headDim: number): number {
  const key = "rope.dimension_count";
  const count = keys.integer(key, { min: 1, absent: headDim });
  if (count > headDim || count % 2 !== 0) {
    throw keys.wrong(key, `even and at most the head dimension, ${headDim}`);
  }
  return count;
}

function readRopeScaling(keys: Hyperparameters, contextLength: number): RopeScaling {
  const type = readScalingType(keys);
  const factor = readScalingFactor(keys);
  const original = keys.integer("rope.scaling.original_context_length", {
    min: 0,
    absent: contextLength,
  });
  // A negative one stands for "not said" in files, as does an original context of 0.
  const said = keys.float("rope.scaling.yarn_ext_factor", { min: -Infinity, absent: -1 });
  const extrapolation = type !== "yarn" ? 0 : said < 0 ? 1 : said;
  const attention = keys.float("rope.scaling.attn_factor", { min: 0, absent: 1 });
  // YaRN's own factor counts only where YaRN does not derive one.
  const yarnAttention = keys.float("rope.scaling.yarn_attn_factor", { min: 0, absent: 1 });
  return {
    type,
    factor: type === "none" ? 1 : factor,
    originalContextLength: original || contextLength,
    attentionFactor: extrapolation === 0 ? attention * yarnAttention : attention,
    extrapolation,
    betaFast: keys.float("rope.scaling.yarn_beta_fast", { min: 0, absent: 32 }),
    betaSlow: keys.float("rope.scaling.yarn_beta_slow", { min: 0, absent: 1 }),
  };
}

/** A file that names a factor without a type means linear scaling. */
function readScalingType(keys: Hyperparameters): RopeConfig["scaling"]["type"] {
  const type = keys.text("rope.scaling.type") ?? "linear";
  if (type === "none" || type === "yarn") return type;
  if (type === "linear") return readScalingFactor(keys) === 1 ? "none" : "linear";
  throw new UnsupportedModelError(
    `Cannot run this model: its rotary scaling is ${JSON.stringify(type)}: this version computes ` +
      '"none", "linear" and "yarn"',
  );
}

/** 0 stands for "none" in files; "rope.scale_linear" is the key's name before 2024. */
function readScalingFactor(keys: Hyperparameters): number {
  const key = keys.has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
  const factor = keys.float(key, { min: -Infinity, absent: 1 });
  if (factor < 0) throw keys.wrong(key, "0 or more");
  return factor === 0 ? 1 : factor;
}
