/**
 * Predictors that are right by construction: gates read few directions of the residual stream, and
 * the predictor reads the same ones. Says in numbers what a trained predictor has learned.
 */
import type { TinyShape } from "./tiny_layout.ts";
import { Rng } from "./rng.ts";

/** Predictors of a tiny model. */
export interface TinyPredictor {
  /** Even: each direction that gates read takes two of it. */
  readonly rank: number;
  /** Layers that have one; left out: all. */
  readonly layers?: readonly number[];
  /** Layers whose second matrix is noise; left out: none. */
  readonly brokenLayers?: readonly number[];
}

/**
 * Weights of the tensors that a predictor hangs on, by name. With directions b, a norm of weights
 * w and r the residual stream, a gate is Σ c · (b · norm(r)), and its sign is that of
 * Σ c · ((b∘w) · r) = Σ c · relu((b∘w) · r) − c · relu(−(b∘w) · r).
 */
export function predictorWeights(
  shape: TinyShape,
  { rank, layers, brokenLayers = [] }: TinyPredictor,
  seed: number,
): Map<string, Float32Array> {
  const weights = new Map<string, Float32Array>();
  for (let block = 0; block < shape.blockCount; block++) {
    if (layers && !layers.includes(block)) continue;
    const rng = new Rng(1000 * seed + block);
    const isBroken = brokenLayers.includes(block);
    for (const [name, values] of Object.entries(blockWeights(shape, { rank, isBroken, rng }))) {
      weights.set(`blk.${block}.${name}.weight`, values);
    }
  }
  return weights;
}

function blockWeights(
  { embeddingLength: width, feedForwardLength: neurons }: TinyShape,
  { rank, isBroken, rng }: { rank: number; isBroken: boolean; rng: Rng },
) {
  const directions = rank / 2;
  const draw = (length: number, mean: number, deviation: number) =>
    Float32Array.from({ length }, () => mean + deviation * rng.normal());
  const norm = draw(width, 1, 0.1);
  const basis = draw(directions * width, 0, 1 / Math.sqrt(width));
  const shares = draw(neurons * directions, 0, 1 / Math.sqrt(directions));
  const gate = new Float32Array(neurons * width);
  for (let neuron = 0; neuron < neurons; neuron++) {
    for (let k = 0; k < directions; k++) {
      const share = shares[neuron * directions + k];
      for (let i = 0; i < width; i++) gate[neuron * width + i] += share * basis[k * width + i];
    }
  }
  const first = new Float32Array(rank * width);
  for (let k = 0; k < directions; k++) {
    for (let i = 0; i < width; i++) {
      const value = basis[k * width + i] * norm[i];
      first[2 * k * width + i] = value;
      first[(2 * k + 1) * width + i] = -value;
    }
  }
  const second = new Float32Array(neurons * rank);
  for (let j = 0; j < neurons * directions; j++) {
    second[2 * j] = shares[j];
    second[2 * j + 1] = -shares[j];
  }
  const noise = draw(neurons * rank, 0, 1);
  return { ffn_norm: norm, ffn_gate: gate, fc1: first, fc2: isBroken ? noise : second };
}
