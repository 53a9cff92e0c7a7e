/** Layers that do not exist: samples whose neurons fire by a rule that a test knows. */
import { type BlockSamples, SampleRecorder } from "../../src/train/mod.ts";
import { Rng } from "../support/rng.ts";

export interface MadeUpLayer {
  readonly inputLength: number;
  readonly neuronCount: number;
  readonly count: number;
  readonly seed?: number;
  /** Dimensions that decide; the others are noise. */
  readonly usedDimensions: number;
  /** A neuron fires when its direction's part of the input exceeds this many deviations. */
  readonly threshold: number;
}

/** Neuron j fires when the input is large along a direction of its own, of the used dimensions. */
export function madeUpLayer(layer: MadeUpLayer): BlockSamples {
  const { inputLength, neuronCount, count, usedDimensions, threshold } = layer;
  const rng = new Rng(layer.seed ?? 1);
  const directions = Array.from(
    { length: neuronCount },
    () => Float64Array.from({ length: usedDimensions }, () => rng.normal()),
  );
  const size = { inputLength, neuronCount, blockCount: 1, usedCount: 1 };
  const recorder = new SampleRecorder(size, count);
  const residual = new Float32Array(inputLength);
  for (let s = 0; s < count; s++) {
    for (let i = 0; i < inputLength; i++) residual[i] = rng.normal();
    const fired = new Uint8Array(neuronCount);
    directions.forEach((direction, j) => {
      let sum = 0, squares = 0;
      direction.forEach((weight, i) => {
        sum += weight * residual[i];
        squares += weight * weight;
      });
      if (sum > threshold * Math.sqrt(squares)) fired[j] = 1;
    });
    // Scales differ, and do not matter.
    recorder.add(residual.map((value) => value * 3), fired);
  }
  return recorder.samples()[0];
}
