/**
 * A conformer as formulas, in f64: attention by relative positions, the filter in the place of
 * attention, and the convolutions that make a spectrogram's frames fewer.
 */
import { check } from "../base/check.ts";
import {
  type LayerTensors,
  LONGEST_WAVE,
  type ModelConfig,
  type RelativeTensors,
} from "../model/mod.ts";
import type { SubsamplingConfig } from "../model/conformer_types.ts";
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
  const { filter, relative, attentionOutput } = tensors;
  const made = filter ? filtered(h, tensors, parts) : attended(h, { ...tensors, relative }, parts);
  return parts.blocks.project(made, attentionOutput!);
}

/** silu(norm(conv(a · h ⊙ sigmoid(g · h)))). */
function filtered(
  h: Float64Array,
  { query, key, filter }: LayerTensors,
  { config: { embeddingLength: d, norm: { epsilon } }, weights, blocks }: Parts,
): Float64Array {
  const gate = blocks.project(h, key!);
  const x = blocks.project(h, query!).map((value, i) => value / (1 + Math.exp(-gate[i])));
  const taps = weights.vector(filter!.weights);
  const count = taps.length / d;
  const convolved = x.map((_, at) => {
    const [row, channel] = [Math.floor(at / d), at % d];
    let sum = 0;
    for (let tap = 0; tap < count; tap++) {
      const from = row - count + 1 + tap;
      if (from >= 0) sum += taps[channel * count + tap] * x[from * d + channel];
    }
    return sum;
  });
  const { bias } = filter!;
  const biased = bias ? addBias(convolved, weights.vector(bias)) : convolved;
  return activate("silu", rmsNorm(biased, weights.vector(filter!.norm), epsilon));
}

/** Each head's mixture of values of the rows that a row sees, [n, heads · headDim]. */
function attended(
  h: Float64Array,
  { query, key, value, relative }: Pick<LayerTensors, "query" | "key" | "value" | "relative">,
  parts: Parts,
): Float64Array {
  const { config, weights, blocks } = parts;
  const { headCount, headDim, attentionScale, attentionSoftCap: cap } = config;
  const { rowsSeen, positionScale } = config.relative!;
  const width = headCount * headDim;
  const gained = (x: Float64Array, by: RelativeTensors["queryGains"]) =>
    by ? x.map((number, i) => number * weights.vector(by)[i % headDim]) : x;
  const q = gained(blocks.project(h, query!), relative!.queryGains);
  const k = gained(blocks.project(h, key!), relative!.keyGains);
  const v = blocks.project(h, value!);
  const p = blocks.project(waves(rowsSeen, config.embeddingLength), relative!.positions);
  const out = new Float64Array(q.length);
  for (let row = 0; row < q.length / width; row++) {
    for (let head = 0; head < headCount; head++) {
      const at = head * headDim;
      const product = (other: Numbers, from: number) => {
        let sum = 0;
        for (let i = 0; i < headDim; i++) sum += q[row * width + at + i] * other[from + at + i];
        return sum;
      };
      const scores = Array.from({ length: Math.min(rowsSeen, row + 1) }, (_, distance) => {
        const score = attentionScale * product(k, (row - distance) * width) +
          positionScale * product(p, distance * width);
        return cap * Math.tanh(score / cap);
      });
      const most = Math.max(...scores);
      const shares = scores.map((score) => Math.exp(score - most));
      const total = shares.reduce((sum, share) => sum + share, 0);
      shares.forEach((share, distance) => {
        const from = (row - distance) * width + at;
        for (let i = 0; i < headDim; i++) {
          out[row * width + at + i] += share / total * v[from + i];
        }
      });
    }
  }
  return out;
}

/** [count, d]: sines of distances 0, 1, …, then cosines. */
function waves(count: number, d: number): Float64Array {
  const half = Math.floor(d / 2);
  const step = Math.log(LONGEST_WAVE) / Math.max(half - 1, 1);
  const out = new Float64Array(count * d);
  for (let distance = 0; distance < count; distance++) {
    for (let i = 0; i < half; i++) {
      const angle = distance * Math.exp(-i * step);
      out[distance * d + i] = Math.sin(angle);
      out[distance * d + half + i] = Math.cos(angle);
    }
  }
  return out;
}

/** A convolution: kernels [outputs, inputs, 3 times, 3 bands], and gains of the norm. */
export interface SubsamplingKernels {
  readonly weights: Numbers;
  readonly norm: { readonly weight: Numbers; readonly bias: Numbers | null };
}

/**
 * What rows are made of, [rows, bands · channels], band by band.
 * @param values [frames, bands]
 */
export function subsample(
  values: Numbers,
  { config: { bands, epsilon }, kernels }: {
    readonly config: SubsamplingConfig;
    readonly kernels: readonly SubsamplingKernels[];
  },
): Float64Array {
  let plane = { x: Float64Array.from(values) as Float64Array, bands, channels: 1 };
  for (const { weights, norm } of kernels) {
    const { x, bands: height, channels: inputs } = plane;
    const frames = x.length / (height * inputs);
    check(Number.isInteger(frames), "whole frames");
    const channels = norm.weight.length;
    const [length, own] = [Math.ceil(frames / 2), Math.ceil(height / 2)];
    const sums = new Float64Array(length * own * channels).map((_, at) => {
      const channel = at % channels;
      const [frame, band] = [Math.floor(at / channels / own), Math.floor(at / channels) % own];
      let sum = 0;
      for (let tap = 0; tap < 9; tap++) {
        const [t, b] = [2 * frame + Math.floor(tap / 3) - 1, 2 * band + tap % 3 - 1];
        if (t < 0 || t >= frames || b < 0 || b >= height) continue;
        for (let input = 0; input < inputs; input++) {
          sum += weights[(channel * inputs + input) * 9 + tap] *
            x[(t * height + b) * inputs + input];
        }
      }
      return sum;
    });
    const even = layerNorm(sums, { ...norm, epsilon });
    plane = { x: activate("relu", even), bands: own, channels };
  }
  return plane.x;
}
