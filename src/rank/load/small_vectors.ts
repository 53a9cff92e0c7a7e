/** Vectors that ranks compute with before they lie in an arena: read at once, as a whole. */
import { check } from "../../base/check.ts";
import type { TensorReader } from "../../gguf/tensor_reader.ts";
import type { GgufTensor } from "../../gguf/types.ts";
import { dequantize } from "../../model/quants/dequantize.ts";
import type { RopeConfig, VectorTensor } from "../../model/types.ts";

/** Frequency divisors of the rotary embedding, where the model carries them. */
export function ropeFactors(
  rope: RopeConfig,
  tensors: ReadonlyMap<string, GgufTensor>,
  reader: TensorReader,
): Float32Array | null {
  return rope.factors && vectorOf(rope.factors, tensors, reader);
}

/** Elements of a tensor. */
export function vectorOf(
  { tensor: name, start, length }: VectorTensor,
  tensors: ReadonlyMap<string, GgufTensor>,
  reader: TensorReader,
): Float32Array {
  const tensor = tensors.get(name);
  check(tensor !== undefined, `tensor ${name} was posted with the plan`);
  return dequantize(tensor.type, reader.readAll(tensor)).subarray(start, start + length);
}
