/** A network of convolutions that makes rows of a picture, as formulas, in f64. */
import {
  addsInput,
  type AskingBlock,
  type AskingTensors,
  type DepthwiseTensors,
  type InvertedBlock,
  type InvertedTensors,
  keptLength,
  type NetworkConfig,
  type NetworkTensors,
  zerosBefore,
} from "../model/network.ts";
import type { MatrixTensor, NormTensors, VectorTensor } from "../model/types.ts";
import { activate } from "./activation_ops.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { add, filled, type Numbers, rmsNorm } from "./ops.ts";
import type { ReferenceWeights } from "./weights.ts";

/** Squares of places, line by line, [side · side, channels]. */
interface Plane {
  readonly x: Float64Array;
  readonly side: number;
}

/** What it is computed with. */
export interface ReferenceNetwork {
  readonly config: NetworkConfig;
  readonly tensors: NetworkTensors;
  readonly blocks: ReferenceBlocks;
  readonly weights: ReferenceWeights;
}

/** Rows [rowsSide², channels] of patches, each channel by channel, line by line. */
export function runNetwork(patches: Numbers, of: ReferenceNetwork): Float64Array {
  const { config, tensors: { stem, stemNorm, blocks, fusion, lastNorm } } = of;
  const picture = { x: pixelsOf(patches, config), side: config.side };
  let plane = bent(convolve(picture, stem, { side: 3, stride: 2 }, of), stemNorm, of);
  let kept = plane;
  config.blocks.forEach((block, i) => {
    plane = block.kind === "inverted"
      ? inverted(plane, block, blocks[i] as InvertedTensors, of)
      : asking(plane, block, blocks[i] as AskingTensors, of);
    if (i === config.kept) kept = plane;
  });
  const both = { x: beside(kept, plane), side: kept.side };
  const fused = inverted(both, config.fusion, fusion, of);
  return normOf(means(fused, config.rowsSide), lastNorm, of);
}

/** [side², 3] */
function pixelsOf(patches: Numbers, { side, rowsSide }: NetworkConfig): Float64Array {
  const size = side / rowsSide;
  return filled(3 * side * side, (i) => {
    const [channel, pixel] = [i % 3, Math.floor(i / 3)];
    const [y, x] = [Math.floor(pixel / side), pixel % side];
    const patch = Math.floor(y / size) * rowsSide + Math.floor(x / size);
    return patches[((patch * 3 + channel) * size + y % size) * size + x % size];
  });
}

function inverted(
  plane: Plane,
  block: InvertedBlock,
  { start, first, firstNorm, mid, second, secondNorm, gains }: InvertedTensors,
  of: ReferenceNetwork,
): Plane {
  const { startSide, side, midSide, stride } = block;
  const read = start ? depthwise(plane, start, { side: startSide, stride: 1 }, of) : plane;
  const made = convolve(read, first, { side, stride: mid ? 1 : stride }, of);
  let hidden = bent(made, firstNorm, of);
  if (mid) {
    const next = depthwise(hidden, mid, { side: midSide, stride }, of);
    hidden = { ...next, x: activate("gelu", next.x) };
  }
  const even = normOf(of.blocks.project(hidden.x, second), secondNorm, of);
  const out = multiplied(even, gains, of);
  return { x: addsInput(block) ? add(plane.x, out) : out, side: hidden.side };
}

function asking(
  { x, side }: Plane,
  { headDim, keySide }: AskingBlock,
  { norm, query, key, value, output, gains }: AskingTensors,
  of: ReferenceNetwork,
): Plane {
  const { blocks } = of;
  const read = { x: normOf(x, norm, of), side };
  const made = ({ down, matrix }: AskingTensors["key"]) => {
    const from = down ? depthwise(read, down, { side: keySide, stride: 2 }, of) : read;
    return blocks.project(from.x, matrix);
  };
  const [queries, keys, values] = [blocks.project(read.x, query), made(key), made(value)];
  const count = keys.length / headDim;
  const mixed = new Float64Array(queries.length);
  for (let at = 0; at < queries.length; at += headDim) {
    const scores = filled(count, (k) => dot(queries, at, keys, k * headDim, headDim));
    const most = Math.max(...scores);
    const shares = scores.map((score) => Math.exp((score - most) / Math.sqrt(headDim)));
    const sum = shares.reduce((total, share) => total + share);
    for (let k = 0; k < count; k++) {
      for (let i = 0; i < headDim; i++) {
        mixed[at + i] += shares[k] / sum * values[k * headDim + i];
      }
    }
  }
  const out = blocks.project(mixed, output);
  return { x: add(x, multiplied(out, gains, of)), side };
}

function dot(x: Float64Array, from: number, y: Float64Array, at: number, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += x[from + i] * y[at + i];
  return sum;
}

/** Of all channels; nothing is around the plane. */
function convolve(
  { x, side: length }: Plane,
  matrix: MatrixTensor,
  { side, stride }: { readonly side: number; readonly stride: number },
  { blocks }: ReferenceNetwork,
): Plane {
  if (side === 1) return { x: blocks.project(x, matrix), side: length };
  const channels = x.length / length ** 2, taps = side * side;
  const kept = keptLength(length, stride), before = zerosBefore(length, side, stride);
  const windows = filled(kept * kept * channels * taps, (i) => {
    const [place, within] = [Math.floor(i / (channels * taps)), i % (channels * taps)];
    const [channel, tap] = [Math.floor(within / taps), within % taps];
    const y = Math.floor(place / kept) * stride + Math.floor(tap / side) - before;
    const column = place % kept * stride + tap % side - before;
    const isInside = y >= 0 && column >= 0 && y < length && column < length;
    return isInside ? x[(y * length + column) * channels + channel] : 0;
  });
  return { x: blocks.project(windows, matrix), side: kept };
}

/** norm of each channel convolved by itself. */
function depthwise(
  { x, side: length }: Plane,
  { kernels, norm }: DepthwiseTensors,
  { side, stride }: { readonly side: number; readonly stride: number },
  of: ReferenceNetwork,
): Plane {
  const weights = of.weights.vector(kernels);
  const channels = x.length / length ** 2;
  const kept = keptLength(length, stride), before = zerosBefore(length, side, stride);
  const out = filled(kept * kept * channels, (i) => {
    const [place, channel] = [Math.floor(i / channels), i % channels];
    const top = Math.floor(place / kept) * stride - before, left = place % kept * stride - before;
    let sum = 0;
    for (let dy = 0; dy < side; dy++) {
      for (let dx = 0; dx < side; dx++) {
        const [y, column] = [top + dy, left + dx];
        if (y < 0 || column < 0 || y >= length || column >= length) continue;
        const weight = weights[channel * side * side + dy * side + dx];
        sum += weight * x[(y * length + column) * channels + channel];
      }
    }
    return sum;
  });
  return { x: normOf(out, norm, of), side: kept };
}

function bent({ x, side }: Plane, norm: NormTensors, of: ReferenceNetwork): Plane {
  return { x: activate("gelu", normOf(x, norm, of)), side };
}

function normOf(x: Float64Array, { weight }: NormTensors, of: ReferenceNetwork): Float64Array {
  return rmsNorm(x, of.weights.vector(weight!), of.config.epsilon);
}

function multiplied(
  x: Float64Array,
  gains: VectorTensor | null,
  { weights }: ReferenceNetwork,
): Float64Array {
  if (gains === null) return x;
  const by = weights.vector(gains);
  return x.map((value, i) => value * by[i % by.length]);
}

/** Channels of both; the smaller plane's places are each a square of the larger one's. */
function beside(large: Plane, small: Plane): Float64Array {
  const [first, second] = [large, small].map(({ x, side }) => x.length / side ** 2);
  const width = first + second, times = large.side / small.side;
  return filled(large.side ** 2 * width, (i) => {
    const [place, channel] = [Math.floor(i / width), i % width];
    if (channel < first) return large.x[place * first + channel];
    const y = Math.floor(Math.floor(place / large.side) / times);
    const column = Math.floor(place % large.side / times);
    return small.x[(y * small.side + column) * second + channel - first];
  });
}

/** Of squares of places, [to², channels]. */
function means({ x, side }: Plane, to: number): Float64Array {
  const channels = x.length / side ** 2, size = side / to;
  const out = new Float64Array(to * to * channels);
  x.forEach((value, i) => {
    const [place, channel] = [Math.floor(i / channels), i % channels];
    const y = Math.floor(Math.floor(place / side) / size);
    const column = Math.floor(place % side / size);
    out[(y * to + column) * channels + channel] += value / size ** 2;
  });
  return out;
}
