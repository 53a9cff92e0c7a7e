/**
 * A conformer as formulas, in f64: attention by relative positions, the filter in the place of
 * attention, and the convolutions that make a spectrogram's frames fewer.
 */
import { check } from "../base/check.ts";
import {
  type LayerTensors,
  LONGEST_WAVE,
  type ModelConfig,
  type NormTensors,
  type SubsamplingConfig,
  type VectorTensor,
} from "../model/mod.ts";
import { activate, layerNorm } from "./activation_ops.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { addBias, type Numbers, rmsNorm } from "./ops.ts";
import type { ReferenceWeights } from "./weights.ts";

interface Parts {
  readonly config: ModelConfig;
  readonly weights: ReferenceWeights;
  readonly blocks: ReferenceBlocks;
}

/** What such a layer gives in the place of attention, [n, d], of h, [n, d]. */
export function conformerLayer(h: Float64Array, tensors: LayerTensors, parts: Parts): Float64Array {
  const made = tensors.filter ? filtered(h, tensors, parts) : attended(h, tensors, parts);
  return parts.blocks.project(made, tensors.attentionOutput!);
}

/** silu(even(conv(a · h ⊙ sigmoid(g · h)))). */
function filtered(
  h: Float64Array,
  { query, key, filter }: LayerTensors,
  { config: { norm: { epsilon } }, weights, blocks }: Parts,
): Float64Array {
  const { weights: kernels, tapsAhead, bias, counted, isNormalized, gains, sum } = filter!;
  const { length: channels } = gains;
  const gate = blocks.project(h, key!);
  const x = blocks.project(h, query!).map((value, i) => value / (1 + Math.exp(-gate[i])));
  const taps = weights.vector(kernels);
  const count = taps.length / channels;
  const convolved = x.map((_, at) => {
    const [row, channel] = [Math.floor(at / channels), at % channels];
    let sum = 0;
    for (let tap = 0; tap < count; tap++) {
      const from = row + tapsAhead - count + 1 + tap;
      if (from < 0 || from >= x.length / channels) continue;
      sum += taps[channel * count + tap] * x[from * channels + channel];
    }
    return sum;
  });
  const whole = bias ? addBias(convolved, weights.vector(bias)) : convolved;
  const [mean, variance] = counted
    ? [weights.vector(counted.mean), weights.vector(counted.variance)]
    : [new Float64Array(channels), new Float64Array(channels).fill(1)];
  const biased = whole.map((value, i) =>
    (value - mean[i % channels]) / Math.sqrt(variance[i % channels])
  );
  const even = weights.vector(gains);
  const gained = isNormalized
    ? rmsNorm(biased, even, epsilon)
    : biased.map((value, i) => value * even[i % channels]);
  return activate("silu", sum ? addBias(gained, weights.vector(sum)) : gained);
}

/** Each head's mixture of values of the rows that a row sees, [n, heads · headDim]. */
function attended(
  h: Float64Array,
  { query, key, value, relative }: LayerTensors,
  parts: Parts,
): Float64Array {
  const { config, weights, blocks } = parts;
  const { headCount, headDim, attentionScale, attentionSoftCap: cap } = config;
  const { rowsSeen, blockRows = Infinity, waves, positionScale } = config.relative!;
  const { queryGains, keyGains, keySum, positionSum, positions } = relative!;
  const width = headCount * headDim;
  const n = h.length / config.embeddingLength;
  const gained = (x: Float64Array, by?: VectorTensor) =>
    by ? x.map((number, i) => number * weights.vector(by)[i % headDim]) : x;
  const summed = (x: Float64Array, by?: VectorTensor) => by ? addBias(x, weights.vector(by)) : x;
  const q = gained(blocks.project(h, query!), queryGains);
  const [ofKeys, ofPositions] = [summed(q, keySum), summed(q, positionSum)];
  const k = gained(blocks.project(h, key!), keyGains);
  const v = blocks.project(h, value!);
  const least = waves === null ? 1 - blockRows : rowsSeen === null ? 1 - n : 0;
  // What is learned is of all heads.
  const p = waves === null
    ? everyHead(weights.matrix(positions), config)
    : blocks.project(wavesOf(least, (rowsSeen ?? n) - least, config), positions);
  const out = new Float64Array(q.length);
  for (let row = 0; row < n; row++) {
    const block = blockRows === Infinity ? 0 : row - row % blockRows;
    const first = rowsSeen === null ? block : Math.max(0, row - rowsSeen + 1);
    const end = rowsSeen === null ? Math.min(n, block + blockRows) : row + 1;
    for (let head = 0; head < headCount; head++) {
      const at = head * headDim;
      const product = (asks: Numbers, other: Numbers, from: number) => {
        let sum = 0;
        for (let i = 0; i < headDim; i++) sum += asks[row * width + at + i] * other[from + at + i];
        return sum;
      };
      const scores = Array.from({ length: end - first }, (_, i) => {
        const seen = first + i;
        const score = attentionScale * product(ofKeys, k, seen * width) +
          positionScale * product(ofPositions, p, (row - seen - least) * width);
        return cap === 0 ? score : cap * Math.tanh(score / cap);
      });
      const most = Math.max(...scores);
      const shares = scores.map((score) => Math.exp(score - most));
      const total = shares.reduce((sum, share) => sum + share, 0);
      shares.forEach((share, i) => {
        const from = (first + i) * width + at;
        for (let j = 0; j < headDim; j++) out[row * width + at + j] += share / total * v[from + j];
      });
    }
  }
  return out;
}

/** Of [distances, headDim] for each head the same, [distances, heads · headDim]. */
function everyHead(rows: Numbers, { headCount, headDim }: ModelConfig): Float64Array {
  const width = headCount * headDim;
  return Float64Array.from({ length: rows.length * headCount }, (_, i) => {
    return rows[Math.floor(i / width) * headDim + i % headDim];
  });
}

/** [count, d]: sines and cosines of distances `first`, `first` + 1, … */
function wavesOf(first: number, count: number, { embeddingLength: d, relative }: ModelConfig) {
  const half = Math.floor(d / 2);
  const areHalves = relative!.waves === "halves";
  const step = Math.log(LONGEST_WAVE) / (areHalves ? Math.max(half - 1, 1) : d / 2);
  const out = new Float64Array(count * d);
  for (let row = 0; row < count; row++) {
    for (let i = 0; i < half; i++) {
      const angle = (first + row) * Math.exp(-i * step);
      out[row * d + (areHalves ? i : 2 * i)] = Math.sin(angle);
      out[row * d + (areHalves ? half + i : 2 * i + 1)] = Math.cos(angle);
    }
  }
  return out;
}

/** A convolution and what is behind it, before relu. */
export interface SubsamplingStage {
  /** [channels, inputs, 3 times, 3 bands], or, of each channel by itself, without the inputs. */
  readonly kernels: Numbers;
  readonly isDepthwise: boolean;
  /** [channels]; null: nothing is added. */
  readonly bias: Numbers | null;
  /** Null: channels are not mixed; there is no norm. */
  readonly mix: ((x: Float64Array) => Float64Array) | null;
  readonly norm: NormTensors | null;
}

interface Plane {
  readonly x: Float64Array;
  readonly bands: number;
  readonly channels: number;
}

/**
 * What rows are made of, [rows, bands · channels], in the order that the file has.
 * @param values [frames, bands]
 */
export function subsample(
  values: Numbers,
  { config: { bands, channels, epsilon, order }, stages, weights }: {
    readonly config: SubsamplingConfig;
    readonly stages: readonly SubsamplingStage[];
    readonly weights: ReferenceWeights;
  },
): Float64Array {
  let plane: Plane = { x: Float64Array.from(values), bands, channels: 1 };
  stages.forEach((stage, i) => {
    const { x, ...left } = convolved(plane, stage, channels[i]);
    const biased = stage.bias ? addBias(x, stage.bias) : x;
    const mixed = stage.mix ? stage.mix(biased) : biased;
    const even = stage.norm === null ? mixed : layerNorm(mixed, {
      weight: weights.vector(stage.norm.weight!),
      bias: stage.norm.bias && weights.vector(stage.norm.bias),
      epsilon: epsilon!,
    });
    plane = { ...left, x: activate("relu", even) };
  });
  if (order === "byBand") return plane.x;
  const { x, bands: height, channels: depth } = plane;
  return x.map((_, at) => {
    const [row, column] = [Math.floor(at / (height * depth)), at % (height * depth)];
    return x[(row * height + column % height) * depth + Math.floor(column / height)];
  });
}

function convolved(
  { x, bands, channels: inputs }: Plane,
  { kernels, isDepthwise }: SubsamplingStage,
  channels: number,
): Plane {
  const frames = x.length / (bands * inputs);
  check(Number.isInteger(frames), "whole frames");
  const [length, own] = [Math.ceil(frames / 2), Math.ceil(bands / 2)];
  const sums = new Float64Array(length * own * channels).map((_, at) => {
    const channel = at % channels;
    const [frame, band] = [Math.floor(at / channels / own), Math.floor(at / channels) % own];
    let sum = 0;
    for (let tap = 0; tap < 9; tap++) {
      const [t, b] = [2 * frame + Math.floor(tap / 3) - 1, 2 * band + tap % 3 - 1];
      if (t < 0 || t >= frames || b < 0 || b >= bands) continue;
      const from = (t * bands + b) * inputs;
      if (isDepthwise) sum += kernels[channel * 9 + tap] * x[from + channel];
      else {
        for (let input = 0; input < inputs; input++) {
          sum += kernels[(channel * inputs + input) * 9 + tap] * x[from + input];
        }
      }
    }
    return sum;
  });
  return { x: sums, bands: own, channels };
}
