/** A convolution over each number of an image's rows: formulas, in f64. */
import type { ProjectorTensors } from "../model/vision_types.ts";
import type { ReferenceWeights } from "./weights.ts";

/** x + bias + a convolution of 3 · 3 over each number of rows of a square, zeros around it. */
export function withAround(
  x: Float64Array,
  { kernels, bias }: NonNullable<ProjectorTensors["channels"]>,
  weights: ReferenceWeights,
): Float64Array {
  const [taps, biases] = [weights.vector(kernels), weights.vector(bias)];
  const width = biases.length, side = Math.sqrt(x.length / width);
  const at = (y: number, column: number, i: number) =>
    y < 0 || y >= side || column < 0 || column >= side ? 0 : x[(y * side + column) * width + i];
  return x.map((value, index) => {
    const [row, i] = [Math.floor(index / width), index % width];
    const [y, column] = [Math.floor(row / side), row % side];
    let sum = value + biases[i];
    for (let tap = 0; tap < 9; tap++) {
      sum += taps[9 * i + tap] * at(y + Math.floor(tap / 3) - 1, column + tap % 3 - 1, i);
    }
    return sum;
  });
}
