/**
 * Reads directions that control vectors give layers: sums of vectors of several files, each as
 * often as it counts. Sums are of f64 and rounded once.
 */
import { ModelFormatError, UnsupportedModelError } from "../base/errors.ts";
import type { TensorReader } from "../gguf/tensor_reader.ts";
import type { GgufTensor } from "../gguf/types.ts";

/**
 * Bytes of the sum; `reader` has the vectors that it is made of.
 * @throws {ModelFormatError} when one of their numbers is none.
 * @throws {UnsupportedModelError} when f32 does not hold the sum.
 */
export function readSum(
  reader: TensorReader,
  { name, dims: [length], summed = [] }: GgufTensor,
  { offsetBytes, into }: { readonly offsetBytes: number; readonly into: Uint8Array },
): void {
  const sum = new Float64Array(length);
  for (const { tensor, scale } of summed) {
    const values = new Float32Array(reader.readAll(tensor).buffer);
    const wrong = values.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) {
      throw new ModelFormatError(
        `Cannot use the control vector's tensor "${tensor.name}": its number ${wrong} is ` +
          `${values[wrong]}: the file was damaged: get it again`,
        { offsetBytes: tensor.offsetBytes + 4 * wrong },
      );
    }
    for (let i = 0; i < length; i++) sum[i] += scale * values[i];
  }
  const rounded = Float32Array.from(sum);
  const beyond = rounded.findIndex((value) => !Number.isFinite(value));
  if (beyond >= 0) {
    throw new UnsupportedModelError(
      `Cannot add up the control vectors of "${name}": a number becomes ${sum[beyond]}, which ` +
        "f32 does not hold: use a smaller scale",
    );
  }
  const bytes = new Uint8Array(rounded.buffer);
  into.set(bytes.subarray(offsetBytes, offsetBytes + into.length));
}
