/** Adapters (LoRA) of tiny models with random weights, from a seed, and what they add, slowly. */
import {
  encodeGguf,
  f32,
  type GgufTensor,
  type MetadataEntry,
  parseGguf,
  storedMetadata,
  TensorReader,
  text,
} from "../../src/gguf/mod.ts";
import { dequantize } from "../../src/model/mod.ts";
import { encodeWeights, type WeightType } from "../../src/quantize/mod.ts";
import { Rng } from "./rng.ts";

export interface TinyAdapterOptions {
  /** Names of the tensors that it changes begin or end so; left out: all matrices of blocks. */
  readonly targets?: RegExp;
  readonly rank?: number;
  readonly alpha?: number;
  readonly seed?: number;
  readonly type?: WeightType;
  /** Entries that replace or add to the file's metadata. */
  readonly metadata?: readonly MetadataEntry[];
  /** What becomes of each tensor before it is written; null: it is left out. */
  readonly change?: (tensor: TinyTensor) => TinyTensor | null;
}

/** A matrix of an adapter. */
export interface TinyTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly values: Float32Array<ArrayBuffer>;
}

const MATRICES = /^blk\.\d+\.(attn_[qkv]|attn_output|ffn_(gate|up|down))\.weight$/;

/** The bytes of an adapter's file for the model in `model`. Same options, same bytes. */
export function tinyAdapter(
  model: Uint8Array<ArrayBuffer>,
  options: TinyAdapterOptions = {},
): Uint8Array<ArrayBuffer> {
  const { targets = MATRICES, rank = 4, alpha = 8, seed = 5, type = "F32" } = options;
  const rng = new Rng(seed);
  const file = parseGguf(model);
  const tensors = [...file.tensors.values()].filter(({ name }) => targets.test(name))
    .flatMap((tensor) => pair(tensor, rank, rng))
    .flatMap((tensor) => options.change === undefined ? tensor : options.change(tensor) ?? []);
  const metadata = new Map<string, MetadataEntry[1]>([
    ["general.type", text("adapter")],
    ["general.architecture", text(String(file.metadata.get("general.architecture")))],
    ["adapter.type", text("lora")],
    ["adapter.lora.alpha", f32(alpha)],
    ...options.metadata ?? [],
  ]);
  return encodeGguf({
    metadata: [...metadata],
    tensors: tensors.map(({ name, dims, values }) => {
      return { name, dims, type, pieces: () => [encodeWeights(type, values)] };
    }),
  });
}

function pair({ name, dims }: GgufTensor, rank: number, rng: Rng): TinyTensor[] {
  const [columns, rows = 1, ...experts] = dims;
  const isTable = name.endsWith("token_embd.weight");
  const ofA = isTable ? [rank, rows] : [columns, rank];
  const ofB = isTable ? [rank, columns] : [rank, rows];
  const make = (half: "a" | "b", own: readonly number[]) => {
    const all = [...own, ...experts];
    const count = all.reduce((product, dim) => product * dim);
    // Of a size that changes what the model says, and breaks nothing.
    const size = 0.2 / Math.sqrt(rank);
    return {
      name: `${name}.lora_${half}`,
      dims: all,
      values: rng.normals(count, (normal) => size * normal),
    };
  };
  return [make("a", ofA), make("b", ofB)];
}

/**
 * The model's file with all of it in F32, and the adapter in its weights, by the definition:
 * W[o][i] + factor · Σ B[o][k] A[k][i]; `factor` is scale · alpha / rank, which the caller knows.
 */
export function addedSlowly(
  model: Uint8Array<ArrayBuffer>,
  adapter: Uint8Array<ArrayBuffer>,
  factor: number,
): Uint8Array<ArrayBuffer> {
  const file = parseGguf(model);
  const [own, added] = [floatsOf(model), floatsOf(adapter)];
  return encodeGguf({
    magic: "GGUF",
    metadata: storedMetadata(file),
    tensors: [...file.tensors.values()].map(({ name, dims }) => {
      const values = own(name)!;
      const [a, b] = [added(`${name}.lora_a`), added(`${name}.lora_b`)];
      if (a && b) addPair(values, { a, b, dims, factor, isTable: name === "token_embd.weight" });
      return { name, dims, type: "F32", pieces: () => [encodeWeights("F32", values)] };
    }),
  });
}

/** Every tensor by its name, as numbers; null: there is none. */
function floatsOf(
  bytes: Uint8Array<ArrayBuffer>,
): (name: string) => Float32Array<ArrayBuffer> | null {
  const { tensors } = parseGguf(bytes);
  const reader = TensorReader.ofBytes(bytes);
  return (name) => {
    const tensor = tensors.get(name);
    return tensor === undefined ? null : dequantize(tensor.type, reader.readAll(tensor));
  };
}

interface Pair {
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly dims: readonly number[];
  readonly factor: number;
  readonly isTable: boolean;
}

function addPair(weights: Float32Array, { a, b, dims, factor, isTable }: Pair): void {
  const [columns, rows, experts = 1] = dims;
  const rank = a.length / experts / (isTable ? rows : columns);
  for (let expert = 0; expert < experts; expert++) {
    for (let o = 0; o < rows; o++) {
      for (let i = 0; i < columns; i++) {
        let sum = 0;
        for (let k = 0; k < rank; k++) {
          sum += isTable
            ? b[i * rank + k] * a[o * rank + k]
            : b[(expert * rows + o) * rank + k] * a[(expert * rank + k) * columns + i];
        }
        weights[(expert * rows + o) * columns + i] += factor * sum;
      }
    }
  }
}
