/**
 * What inputs are multiplied by while a predictor is trained, so that every dimension of the
 * residual stream is about 1; afterwards fc1 takes it in. Dimensions that are much larger or
 * smaller than most keep part of that: their weights would otherwise leave the range that a
 * quantised block of fc1 can hold beside its neighbours.
 */
import { dequantizeInto } from "../model/mod.ts";
import type { BlockSamples } from "./samples.ts";

/** Dimensions are taken to differ from the median by this factor at most. */
const SPREAD_MAX = 4;
/** Samples looked at. */
const SAMPLES_MAX = 2048;

/** Fills `scale`, f32 [d]; inputs times scale have a mean square of 1. */
export function measureInputScale(
  scale: Float32Array,
  samples: BlockSamples,
  indices: Int32Array,
): void {
  const squares = meanSquares(samples, indices);
  const sizes = squares.map(Math.sqrt);
  const median = sizes.slice().sort()[sizes.length >> 1];
  let total = 0;
  for (let i = 0; i < scale.length; i++) {
    const size = Math.min(SPREAD_MAX * median, Math.max(median / SPREAD_MAX, sizes[i]));
    scale[i] = size > 0 ? 1 / size : 1;
    total += squares[i] * scale[i] * scale[i];
  }
  const factor = total > 0 ? Math.sqrt(scale.length / total) : 1;
  for (let i = 0; i < scale.length; i++) scale[i] *= factor;
}

function meanSquares(samples: BlockSamples, indices: Int32Array): Float64Array {
  const { inputLength, inputs, inputRows } = samples;
  const squares = new Float64Array(inputLength);
  const row = new Float32Array(inputLength);
  const step = Math.max(1, Math.floor(indices.length / SAMPLES_MAX));
  let count = 0;
  for (let s = 0; s < indices.length; s += step, count++) {
    const bytes = new Uint8Array(
      inputs.buffer,
      inputs.byteOffset + 2 * inputRows[indices[s]] * inputLength,
      2 * inputLength,
    );
    dequantizeInto("F16", bytes, row);
    for (let i = 0; i < inputLength; i++) squares[i] += row[i] * row[i];
  }
  return squares.map((sum) => sum / Math.max(1, count));
}
