/**
 * Both ends of a model that looks at images or hears: patches or frames go in, and a projector
 * makes rows of a text model of what the last layer leaves. Formulas, in f64.
 */
import { check } from "../base/check.ts";
import type {
  Activation,
  MatrixTensor,
  ModelConfig,
  ModelTensors,
  NormTensors,
  ProjectorTensors,
  TowerInput,
} from "../model/mod.ts";
import type { DeepProjectorTensors, StageConfig, StageTensors } from "../model/vision_types.ts";
import { FRAME_ROWS, projectedRows } from "../model/projected_rows.ts";
import { activate, layerNorm } from "./activation_ops.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { subsample, type SubsamplingStage } from "./conformer.ts";
import { withAround } from "./channel_convolution.ts";
import { convolveGrid } from "./grid_convolutions.ts";
import { gridOf } from "./offset_heads.ts";
import { convolvePlanes, type PlaneKernels } from "./planes.ts";
import { runNetwork } from "./network.ts";
import { resample } from "./resample.ts";
import { add, addBias, filled, matmul, rmsNorm } from "./ops.ts";
import { askWindows, softened } from "./window_queries.ts";
import type { ReferenceWeights } from "./weights.ts";

interface Parts {
  readonly config: ModelConfig;
  readonly weights: ReferenceWeights;
  readonly blocks: ReferenceBlocks;
}

/**
 * W · patch + b, that of a second frame which is the same, two convolutions over time, or three
 * over a plane; and what is added: [n, d].
 */
export function embedPatches(
  { patches, added, count }: TowerInput,
  tensors: ModelTensors,
  { config, blocks, weights }: Parts,
): Float64Array {
  const { tokenEmbedding, secondFrame, secondConvolution, patchNorm, pixelNorm } = tensors;
  const pixels = Float64Array.from(patches);
  const rows = pixelNorm ? blocks.norm(pixels, pixelNorm) : pixels;
  const { areRows, network, plane, subsampling, length } = config.patches!;
  if (network) {
    return runNetwork(pixels, { config: network, tensors: tensors.network!, blocks, weights });
  }
  const lacks = count * length - rows.length;
  check(lacks >= 0 && lacks < (subsampling ? length : 1), "patches of the model's length");
  if (areRows) return added === null ? rows : add(rows, added);
  if (subsampling) {
    const stages = subsamplingStages(tensors, { config, blocks, weights });
    const of = { config: subsampling, stages, weights };
    return blocks.project(subsample(rows, of), tensors.subsampling!.output);
  }
  if (plane) {
    const made = blocks.project(
      convolvePlanes(rows, count, { config: plane, kernels: kernelsOf(tensors, weights) }),
      tensors.planeMatrices![2],
    );
    return added === null ? made : add(made, added);
  }
  const product = blocks.project(rows, tokenEmbedding);
  const first = secondConvolution === undefined
    ? product
    : bend("gelu", blocks.project(windowsOf(bend("gelu", product), count), secondConvolution));
  const both = secondFrame ? add(first, blocks.project(rows, secondFrame)) : first;
  const made = patchNorm ? blocks.norm(both, patchNorm) : both;
  return added === null ? made : add(made, added);
}

function kernelsOf(
  { tokenEmbedding, planeMatrices }: ModelTensors,
  weights: ReferenceWeights,
): PlaneKernels[] {
  return [tokenEmbedding, ...planeMatrices!.slice(0, 2)].map((matrix) => ({
    ...{ weights: weights.matrix(matrix), biases: weights.vector(matrix.bias!) },
  }));
}

function subsamplingStages(
  { tokenEmbedding, subsampling }: ModelTensors,
  { blocks, weights }: Parts,
): SubsamplingStage[] {
  const { others, norms } = subsampling!;
  return [tokenEmbedding, ...others].map((tensors, i) => {
    const isDepthwise = "mix" in tensors;
    const norm = norms[i] ?? null;
    if (!isDepthwise) {
      const bias = tensors.bias && weights.vector(tensors.bias);
      return { ...{ isDepthwise, kernels: weights.matrix(tensors), bias, norm }, mix: null };
    }
    return {
      ...{ isDepthwise, kernels: weights.vector(tensors.kernels), norm },
      bias: weights.vector(tensors.bias),
      mix: (x) => blocks.project(x, tensors.mix),
    };
  });
}

/** Of [2n, d] each 3 rows around every other one, number by number: [n, 3 · d]. */
function windowsOf(rows: Float64Array, n: number): Float64Array {
  const d = rows.length / (2 * n);
  return filled(n * 3 * d, (i) => {
    const [window, within] = [Math.floor(i / (3 * d)), i % (3 * d)];
    const row = 2 * window + within % 3 - 1;
    return row < 0 ? 0 : rows[row * d + Math.floor(within / 3)];
  });
}

/** What the last layer and its norm leave, and what each layer leaves, [n, d]. */
export interface TowerOutcome {
  readonly rows: Float64Array;
  readonly outcomes: readonly Float64Array[];
  /** Of rows, the first ones. */
  readonly kept: number;
  /** As `TowerInput`'s. */
  readonly positions: Int32Array | null;
}

/** second · act(first · stages of merged rows), and behind each what other layers' rows give. */
export function projectRows(
  { rows, outcomes, kept, positions }: TowerOutcome,
  { projector }: ModelTensors,
  parts: Parts,
): Float64Array {
  const { weights, blocks, config: { embeddingLength: d, projector: config } } = parts;
  check(projector !== undefined && config !== undefined, "the model has a projector");
  const { norm, activation, deepLayers = [], outputLength, hiddenEpsilon, hiddenLength } = config;
  const count = projectedRows(config, kept);
  check(count !== null, "rows of whole blocks");
  const normalise = (x: Float64Array) => normOf(x, { ...norm!, tensors: projector.norm! }, parts);
  if (config.layerQueries) return queriedRows(outcomes, kept, projector, parts);
  const { resampler, convolutions, windowQueries } = config;
  const fewer = (config.pooledRows ?? 1) * (config.fold?.rows ?? 1);
  const of = [config.rowStages, projector.rowStages] as const;
  const start = parts.config.patches!.areAsked ? rows.length - kept * d : 0;
  const pooled = throughStages(rows.subarray(start, start + kept / fewer * d), ...of, parts);
  const width = pooled.length * fewer / kept;
  const merging = count - (config.frameEpsilon === undefined ? 0 : FRAME_ROWS);
  const own = new Float64Array(merging * config.mergedRows * width);
  if (!resampler && !convolutions && !windowQueries) own.set(pooled);
  const merged = convolutions
    ? convolved(pooled, positions, projector, parts)
    : resampler
    ? resample(pooled, positions!, {
      ...{ config: resampler, tensors: projector.resampler!, blocks, weights },
    })
    : windowQueries
    ? askWindows(pooled, {
      ...{ config: windowQueries, tensors: projector.windowQueries!, blocks, weights },
    })
    : mergeRows(norm?.of === "rows" ? normalise(own) : own, width, config);
  const made = standardRows(merged, config.mergedScale ?? 1, projector.standard, parts);
  const normed = norm?.of === "merged" ? normalise(made) : made;
  const joined = throughStages(normed, config.stages, projector.stages, parts);
  const { frame } = projector;
  const read = frame ? oneBehind(joined, weights.vector(frame.lineEnd)) : joined;
  const first = config.columns
    ? projectColumns(read, config.columns, projector.first, parts)
    : projector.isFirstTransposed
    ? matmul(weights.transposed(projector.first), read, projector.first.rows)
    : blocks.project(read, projector.first);
  const neurons = projector.gate
    ? multiply(bend(activation, blocks.project(joined, projector.gate)), first)
    : projector.second && (activation === null ? first : bend(activation, first));
  const hidden = neurons && projector.hiddenNorm
    ? normOf(
      neurons,
      { kind: "rms", epsilon: hiddenEpsilon!, tensors: projector.hiddenNorm, length: hiddenLength },
      parts,
    )
    : neurons;
  const projected = projector.second === null ? first : blocks.project(hidden!, projector.second);
  const bare = projector.channels ? withAround(projected, projector.channels, weights) : projected;
  const last = frame
    ? normOf(oneBehind(bare, weights.vector(frame.begin), weights.vector(frame.end)), {
      ...{ kind: "rms", epsilon: config.frameEpsilon!, tensors: frame.norm },
    }, parts)
    : bare;
  const deep = deepLayers.map((layer, i) => {
    const tensors = projector.deep![i] as DeepProjectorTensors;
    const beside = mergeRows(outcomes[layer].subarray(0, kept * d), d, config);
    const input = normOf(beside, { ...parts.config.norm, tensors: tensors.norm }, parts);
    return blocks.project(bend("gelu", blocks.project(input, tensors.first)), tensors.second);
  });
  if (config.passesOn) return rowsBeside(joined, last, count);
  const { outputEpsilon: epsilon } = config;
  if (epsilon !== undefined) return rmsNorm(last, new Float64Array(outputLength).fill(1), epsilon);
  return besideEachOther([last, ...deep], outputLength / (1 + deep.length));
}

/** What queries take of what layers leave, each by its matrix, side by side. */
function queriedRows(
  outcomes: readonly Float64Array[],
  kept: number,
  { layerQueries, first, deep = [] }: ProjectorTensors,
  parts: Parts,
): Float64Array {
  const { weights, blocks, config: { norm, embeddingLength: d, projector } } = parts;
  const matrices = [first, ...deep.map((each) => each.first)];
  const made = projector!.layerQueries!.map((config, i) => {
    const tensors = layerQueries![i];
    const left = outcomes[config.layer].subarray(0, kept * d);
    const rows = normOf(left, { ...norm, tensors: tensors.norm }, parts);
    const of = { config, tensors };
    return blocks.project(askWindows(rows, { ...of, blocks, weights }, of), matrices[i]);
  });
  return besideEachOther(made, first.rows);
}

/** act(norm(matrix · x)) of each, one after the other. */
function throughStages(
  rows: Float64Array,
  configs: readonly StageConfig[] = [],
  tensors: readonly StageTensors[] = [],
  parts: Parts,
): Float64Array {
  return configs.reduce((x, { epsilon, activation }, i) => {
    const { matrix, norm: own } = tensors[i];
    const product = parts.blocks.project(x, matrix);
    const even = own
      ? normOf(product, { kind: "layer", epsilon: epsilon!, tensors: own }, parts)
      : product;
    return activation === null ? even : bend(activation, even);
  }, rows);
}

/** What convolutions make of rows, one after the other. */
function convolved(
  x: Float64Array,
  positions: Int32Array | null,
  { convolutions }: ProjectorTensors,
  parts: Parts,
): Float64Array {
  const { weights, config: { projector } } = parts;
  let made = { rows: x, grid: gridOf(positions) };
  projector!.convolutions!.forEach((config, i) => {
    const { matrix, norm } = convolutions![i];
    const biases = matrix.bias && weights.vector(matrix.bias);
    const of = { config, kernels: weights.matrix(matrix), biases };
    const { rows, grid } = convolveGrid(made.rows, { ...of, grid: made.grid });
    const { epsilon } = config;
    const even = norm
      ? normOf(rows, { kind: "layer", epsilon: epsilon!, tensors: norm }, parts)
      : rows;
    made = { rows: even, grid };
  });
  return made.rows;
}

/** Those columns of a matrix · x, + b. */
function projectColumns(
  x: Float64Array,
  { start, end }: { readonly start: number; readonly end: number },
  matrix: MatrixTensor,
  { weights }: Parts,
): Float64Array {
  const { columns } = matrix;
  const own = weights.matrix(matrix).filter((_, i) => i % columns >= start && i % columns < end);
  const product = matmul(own, x, end - start);
  return matrix.bias ? addBias(product, weights.vector(matrix.bias)) : product;
}

/** Rows of both, side by side. */
function rowsBeside(x: Float64Array, y: Float64Array, count: number): Float64Array {
  const [first, second] = [x.length / count, y.length / count];
  const width = first + second;
  return filled(count * width, (i) => {
    const [row, at] = [Math.floor(i / width), i % width];
    return at < first ? x[row * first + at] : y[row * second + at - first];
  });
}

/** What goes on behind that layer: each so many rows as one, or the rows. */
export function foldRows(
  x: Float64Array,
  layer: number,
  { projector }: ModelTensors,
  { config, blocks, weights }: Parts,
): Float64Array {
  const { embeddingLength: d, projector: { fold } = {}, norm } = config;
  if (fold === undefined || fold.behind !== layer) return x;
  const { first, second, norm: tensors } = projector!.fold!;
  const input = tensors ? normOf(x, { ...norm, tensors }, { config, blocks, weights }) : x;
  const neurons = blocks.project(input, first);
  const bent = fold.softens ? softened(neurons, first.rows) : bend("gelu", neurons);
  const made = blocks.project(bent, second);
  return add(made, mergeRows(x, d, { mergedRows: fold.rows, merge: "mean" }));
}

/** Rows behind rows. */
function oneBehind(...parts: readonly ArrayLike<number>[]): Float64Array {
  return Float64Array.from(parts.flatMap((part) => Array.from(part)));
}

function multiply(x: Float64Array, y: Float64Array): Float64Array {
  return x.map((value, i) => value * y[i]);
}

/** What goes into the last norm: rows, or means of each so many [d] that follow one another. */
export function meanRows(
  rows: Float64Array,
  { embeddingLength: d, projector }: ModelConfig,
): Float64Array {
  const count = projector?.pooledRows ?? 1;
  if (count === 1) return rows;
  const out = new Float64Array(rows.length / count);
  rows.forEach((value, i) => out[Math.floor(i / (d * count)) * d + i % d] += value / count);
  return out;
}

function bend(activation: Activation | null, x: Float64Array): Float64Array {
  check(activation !== null && activation !== "xielu", "an activation without a curve");
  return activate(activation, x);
}

/** Rows of `length` of all of them side by side. */
function besideEachOther(parts: readonly Float64Array[], length: number): Float64Array {
  const width = parts.length * length;
  return filled(parts[0].length * parts.length, (i) => {
    const [row, within] = [Math.floor(i / width), i % width];
    return parts[Math.floor(within / length)][row * length + within % length];
  });
}

/** (scale · x - mean) · gains. */
function standardRows(
  x: Float64Array,
  factor: number,
  standard: ProjectorTensors["standard"],
  { weights }: Parts,
): Float64Array {
  const scaled = x.map((value) => factor * value);
  if (standard === undefined) return scaled;
  const [mean, gains] = [weights.vector(standard.mean), weights.vector(standard.gains)];
  const length = mean.length;
  return scaled.map((value, i) => (value - mean[i % length]) * gains[i % length]);
}

function normOf(
  x: Float64Array,
  { kind, epsilon, tensors, length }: {
    readonly kind: "rms" | "layer";
    readonly epsilon: number;
    readonly tensors: NormTensors;
    /** Of a row; left out: a row of the tower. */
    readonly length?: number;
  },
  parts: Parts,
): Float64Array {
  const { weights } = parts;
  const d = length ?? parts.config.embeddingLength;
  const weight = tensors.weight ? weights.vector(tensors.weight) : new Float64Array(d).fill(1);
  const bias = tensors.bias && weights.vector(tensors.bias);
  if (kind === "layer") return layerNorm(x, { weight, bias, epsilon });
  const normalised = rmsNorm(x, weight, epsilon);
  return bias ? addBias(normalised, bias) : normalised;
}

/** Each so many rows [d] as one: side by side, number by number in turns, or their mean. */
function mergeRows(
  rows: Float64Array,
  d: number,
  { mergedRows: count, merge }: Pick<
    NonNullable<ModelConfig["projector"]>,
    "mergedRows" | "merge"
  >,
): Float64Array {
  if (merge === "concat") return Float64Array.from(rows);
  const out = new Float64Array(merge === "mean" ? rows.length / count : rows.length);
  rows.forEach((value, i) => {
    const [row, number] = [Math.floor(i / d), i % d];
    const [block, within] = [Math.floor(row / count), row % count];
    if (merge === "mean") out[block * d + number] += value / count;
    else out[(block * d + number) * count + within] = value;
  });
  return out;
}
