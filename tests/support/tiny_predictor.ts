/**
 * Predictors that are right by construction: gates read few directions of the residual stream, and
 * the predictor reads the same ones. Says in numbers what a trained predictor has learned. One
 * dimension of the stream is constant, so that gates can be negative as a rule.
 */
import type { TinyFamily } from "./tiny_family.ts";
import type { TinyShape } from "./tiny_layout.ts";
import { Rng } from "./rng.ts";

/** Predictors of a tiny model. */
export interface TinyPredictor {
  /** Even: each direction that gates read takes two of it, the constant the last two. */
  readonly rank: number;
  /** Layers that have one; left out: all. */
  readonly layers?: readonly number[];
  /** Layers whose second matrix is noise; left out: none. */
  readonly brokenLayers?: readonly number[];
}

/** What the constant dimension, the first, is in every token's embedding. */
const CONSTANT = 2;
/** A gate's weight of it: about one standard deviation below zero, so that a sixth fires. */
const BIAS = -0.6;

/** Makes the first dimension of the residual stream constant; changes `values` of any tensor. */
export function keepConstant(
  name: string,
  values: Float32Array,
  { dims: [columns, rows = 1] }: { dims: readonly number[] },
): Float32Array {
  if (name === "token_embd.weight" || name.endsWith("ffn_down_t.weight")) {
    const value = name === "token_embd.weight" ? CONSTANT : 0;
    for (let at = 0; at < values.length; at += columns) values[at] = value;
  } else if (/(attn_output|ffn_down|ffn_down_exps)\.weight$/.test(name)) {
    // Of every expert.
    for (let at = 0; at < values.length; at += columns * rows) values.fill(0, at, at + columns);
  }
  return values;
}

/**
 * Weights of the tensors that a predictor hangs on, by name. With directions b, a norm of weights
 * w and r the residual stream, a gate is Σ c · (b · norm(r)), and its sign is that of
 * Σ c · ((b∘w) · r) = Σ c · relu((b∘w) · r) − c · relu(−(b∘w) · r).
 */
export function predictorWeights(
  shape: TinyShape,
  { experts }: TinyFamily,
  seed: number,
): ReadonlyMap<string, Float32Array> {
  if (shape.predictor === undefined) return new Map();
  const { predictor, blockCount, embeddingLength, feedForwardLength } = shape;
  const all = { predictor, blockCount, embeddingLength, feedForwardLength, experts, seed };
  const key = JSON.stringify(all);
  const weights = known.get(key) ?? makeWeights({ ...shape, predictor }, { experts }, seed);
  // The one that was used last is the last to go.
  known.delete(key);
  known.set(key, weights);
  if (known.size > KNOWN_MAX) known.delete(known.keys().next().value!);
  return weights;
}

/** Tests load the same model again and again, with other options. */
const known = new Map<string, ReadonlyMap<string, Float32Array>>();
const KNOWN_MAX = 4;

function makeWeights(
  shape: TinyShape & { predictor: TinyPredictor },
  { experts }: Pick<TinyFamily, "experts">,
  seed: number,
): Map<string, Float32Array> {
  const weights = new Map<string, Float32Array>();
  const { rank, layers, brokenLayers = [] } = shape.predictor;
  const { embeddingLength: width } = shape;
  for (let block = 0; block < shape.blockCount; block++) {
    if (layers && !layers.includes(block)) continue;
    const rng = new Rng(1000 * seed + block);
    const isBroken = brokenLayers.includes(block);
    const norm = draw(rng, width, 1, 0.1);
    const set = (name: string, values: Float32Array) =>
      weights.set(`blk.${block}.${name}.weight`, values);
    set("ffn_norm", norm);
    const neurons = experts?.length ?? shape.feedForwardLength;
    const blocks = Array.from(
      { length: experts?.count ?? 1 },
      () => neuronWeights({ width, neurons, norm }, { rank, isBroken, rng }),
    );
    const join = (each: (block: typeof blocks[number]) => Float32Array) => {
      const length = each(blocks[0]).length;
      const all = new Float32Array(blocks.length * length);
      blocks.forEach((block, i) => all.set(each(block), i * length));
      return all;
    };
    set(experts ? "ffn_gate_exps" : "ffn_gate", join(({ gate }) => gate));
    set(experts ? "ffn_fc1_exps" : "fc1", join(({ first }) => first));
    set(experts ? "ffn_fc2_exps" : "fc2", join(({ second }) => second));
  }
  return weights;
}

function draw(rng: Rng, length: number, mean: number, deviation: number): Float32Array {
  return rng.normals(length, (normal) => mean + deviation * normal);
}

/** Of a dense block or of one expert. */
function neuronWeights(
  { width, neurons, norm }: { width: number; neurons: number; norm: Float32Array },
  { rank, isBroken, rng }: { rank: number; isBroken: boolean; rng: Rng },
) {
  const directions = rank / 2 - 1;
  const basis = draw(rng, directions * width, 0, 1 / Math.sqrt(width))
    .map((value, i) => i % width === 0 ? 0 : value);
  const shares = draw(rng, neurons * directions, 0, 1 / Math.sqrt(directions));
  const gate = new Float32Array(neurons * width);
  for (let neuron = 0; neuron < neurons; neuron++) {
    for (let k = 0; k < directions; k++) {
      const share = shares[neuron * directions + k];
      for (let i = 0; i < width; i++) gate[neuron * width + i] += share * basis[k * width + i];
    }
    gate[neuron * width] = BIAS;
  }
  const first = new Float32Array(rank * width);
  for (let k = 0; k < directions; k++) {
    for (let i = 0; i < width; i++) {
      const value = basis[k * width + i] * norm[i];
      first[2 * k * width + i] = value;
      first[(2 * k + 1) * width + i] = -value;
    }
  }
  first[2 * directions * width] = norm[0];
  const second = new Float32Array(neurons * rank);
  for (let neuron = 0; neuron < neurons; neuron++) {
    for (let k = 0; k < directions; k++) {
      const share = shares[neuron * directions + k];
      second.set([share, -share], neuron * rank + 2 * k);
    }
    second[neuron * rank + 2 * directions] = BIAS;
  }
  const noise = draw(rng, neurons * rank, 0, 1);
  return { gate, first, second: isBroken ? noise : second };
}
