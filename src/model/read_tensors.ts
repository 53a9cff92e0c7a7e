/**
 * Tensor names of a model, every one checked to be in the file with the shape and a type that the
 * engine computes with. Knows names and shapes; reads no weights.
 */
import { ModelFormatError, UnsupportedModelError } from "../base/errors.ts";
import type { GgufFile, GgufTensor } from "../gguf/mod.ts";
import { DEQUANTIZED_TYPES } from "./dequantize.ts";
import { formatError } from "./hyperparameters.ts";
import type { LayerTensors, ModelConfig, ModelTensors } from "./types.ts";

/** Types a matrix may have, and those a norm, bias or list of frequencies may have. */
export const MATRIX_TYPES: readonly string[] = DEQUANTIZED_TYPES;
export const VECTOR_TYPES: readonly string[] = ["F32", "F16", "BF16"];

/**
 * The tensors that a model of this configuration uses, checked.
 * @throws {ModelFormatError} when one is missing or has another shape than `config` asks for.
 * @throws {UnsupportedModelError} when one has a type this version does not compute with, or the
 *   file holds a tensor that this version would have to ignore.
 */
export function readTensors(file: GgufFile, config: ModelConfig): ModelTensors {
  const { embeddingLength, vocabSize, rope } = config;
  const checker = new TensorChecker(file);
  const tokenEmbedding = checker.matrix("token_embd.weight", vocabSize, embeddingLength);
  const tensors: ModelTensors = {
    tokenEmbedding,
    outputNorm: checker.vector("output_norm.weight", embeddingLength),
    output: config.tiedEmbeddings
      ? tokenEmbedding
      : checker.matrix("output.weight", vocabSize, embeddingLength),
    layers: Array.from(
      { length: config.blockCount },
      (_, index) => layerTensors(checker, config, `blk.${index}.`),
    ),
  };
  if (rope.factorsTensor) checker.vector(rope.factorsTensor, rope.dimensionCount / 2);
  checker.refuseUnused();
  return tensors;
}

function layerTensors(checker: TensorChecker, config: ModelConfig, at: string): LayerTensors {
  const { embeddingLength: width, feedForwardLength: neurons } = config;
  const queryRows = config.headCount * config.headDim;
  const keyRows = config.headCountKv * config.headDim;
  const bias = (name: string, length: number) =>
    config.qkvBias ? checker.vector(at + name, length) : null;
  return {
    attentionNorm: checker.vector(at + "attn_norm.weight", width),
    query: checker.matrix(at + "attn_q.weight", queryRows, width),
    key: checker.matrix(at + "attn_k.weight", keyRows, width),
    value: checker.matrix(at + "attn_v.weight", keyRows, width),
    queryBias: bias("attn_q.bias", queryRows),
    keyBias: bias("attn_k.bias", keyRows),
    valueBias: bias("attn_v.bias", keyRows),
    attentionOutput: checker.matrix(at + "attn_output.weight", width, queryRows),
    feedForwardNorm: checker.vector(at + "ffn_norm.weight", width),
    gate: checker.matrix(at + "ffn_gate.weight", neurons, width),
    up: checker.matrix(at + "ffn_up.weight", neurons, width),
    down: checker.matrix(at + "ffn_down.weight", width, neurons),
  };
}

/** Checks tensors one by one and remembers which were asked for. */
class TensorChecker {
  readonly #file: GgufFile;
  readonly #used = new Set<string>();

  constructor(file: GgufFile) {
    this.#file = file;
  }

  matrix(name: string, rows: number, columns: number): string {
    return this.#check(name, [columns, rows], MATRIX_TYPES);
  }

  vector(name: string, length: number): string {
    return this.#check(name, [length], VECTOR_TYPES);
  }

  /** A tensor that is not used would have changed the result: better no answer than a wrong one. */
  refuseUnused(): void {
    for (const name of this.#file.tensors.keys()) {
      if (this.#used.has(name) || isRotaryLeftover(name)) continue;
      throw new UnsupportedModelError(
        `Cannot run this model: it holds a tensor "${name}" that this version has no use for, so ` +
          "its answers would be wrong: use a model without it",
      );
    }
  }

  #check(name: string, dims: readonly number[], types: readonly string[]): string {
    const tensor = this.#file.tensors.get(name);
    if (!tensor) {
      throw formatError(
        this.#file,
        `Cannot find tensor "${name}" (${showShape(dims)}): the model needs it, the file has ` +
          `${this.#file.tensors.size} others: get the file again or convert the model again`,
      );
    }
    if (!sameShape(tensor.dims, dims)) throw wrongShape(this.#file, tensor, dims);
    if (!types.includes(tensor.type)) {
      throw new UnsupportedModelError(
        `Cannot run this model: tensor "${name}" has the type ${tensor.type}: this version ` +
          `computes with ${types.join(", ")} there, use a model quantised to one of them`,
      );
    }
    this.#used.add(name);
    return name;
  }
}

/** Tables of angles that converters wrote in 2023; everybody computes them instead. */
function isRotaryLeftover(name: string): boolean {
  return /^blk\.\d+\.attn_rot_embd(\.weight)?$/.test(name);
}

/** Dimensions that are left out at the end count as 1. */
function sameShape(found: readonly number[], expected: readonly number[]): boolean {
  const length = Math.max(found.length, expected.length);
  return Array.from({ length }).every((_, i) => (found[i] ?? 1) === (expected[i] ?? 1));
}

function wrongShape(
  file: GgufFile,
  tensor: GgufTensor,
  expected: readonly number[],
): ModelFormatError {
  return new ModelFormatError(
    `Cannot use tensor "${tensor.name}": the metadata asks for ${showShape(expected)}, the file ` +
      `has ${showShape(tensor.dims)}: get the file again or convert the model again`,
    { offsetBytes: tensor.offsetBytes, path: file.parts[tensor.part]?.path },
  );
}

/** "[rows, columns]": outermost first, as everywhere in this program; files say it backwards. */
function showShape(dims: readonly number[]): string {
  return `[${dims.toReversed().join(", ")}]`;
}
