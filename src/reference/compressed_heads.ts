/**
 * Attention over a window of tokens' keys and over keys that several tokens make together, as
 * formulas. Knows no streams and no neurons.
 */
import {
  type CompressionConfig,
  type CompressorTensors,
  fillRopeTable,
  type LayerTensors,
  type ModelConfig,
  ropeFrequencies,
} from "../model/mod.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { append, type LayerCache } from "./layer_cache.ts";
import { attention, rmsNorm, rope, softmax } from "./ops.ts";
import { turnHeads } from "./rotations.ts";
import type { ReferenceWeights } from "./weights.ts";

/** What a layer's new tokens have. */
export interface CompressedInput {
  readonly config: ModelConfig;
  readonly weights: ReferenceWeights;
  readonly blocks: ReferenceBlocks;
  readonly index: number;
  readonly tensors: LayerTensors;
  readonly fromPosition: number;
  readonly rotations: readonly Float64Array[];
  readonly cache: LayerCache;
}

/** What attention gives; h: what it reads, [n, d]. */
export function compressedHeads(h: Float64Array, input: CompressedInput): Float64Array {
  const { config, blocks, weights, index, tensors, fromPosition, rotations, cache } = input;
  const { headCount, headDim, ropes } = config;
  const { queryDown, groups } = tensors.compressed!;
  const layer = config.layers[index];
  const by = { ropes, rotations };
  const ofHeads = (heads: number) => ({ heads, headDim, rope: layer.rope });
  const down = blocks.project(h, queryDown.matrix);
  const short = rmsNorm(down, weights.vector(queryDown.norm), config.norm.epsilon);
  const made = blocks.headNorm(blocks.project(short, tensors.query!), tensors.queryNorm, headDim);
  const q = turnHeads(made, ofHeads(headCount), by);
  const key = blocks.headNorm(blocks.project(h, tensors.key!), tensors.keyNorm, headDim);
  cache.keys = append(cache.keys, fromPosition * headDim, turnHeads(key, ofHeads(1), by));
  const compressed = moreKeys(h, input);
  const positions = cache.keys.length / headDim;
  const lists = chosen({ h, short }, compressed.length / headDim, input);
  const keys = append(cache.keys, cache.keys.length, compressed);
  const heads = attention({ q, k: keys, v: keys }, {
    ...{ p0: fromPosition, heads: headCount, kvHeads: 1, groupSize: headCount, headDim },
    scale: config.attentionScale,
    ...tensors.attentionSinks && { sinks: weights.vector(tensors.attentionSinks) },
    listOf: (t) => {
      const own = fromPosition + t, first = Math.max(0, own + 1 - layer.slidingWindow);
      const near = Array.from({ length: own + 1 - first }, (_, i) => first + i);
      return [...near, ...lists(t).map((key) => positions + key)];
    },
  });
  const back = turnHeads(heads, { heads: headCount, headDim, rope: layer.backRope! }, by);
  const { groupCount, groupLength } = config.compression!;
  const columns = groups.columns;
  const parts = Array.from({ length: back.length / columns }, (_, i) => {
    const matrix = { ...groups, rowStart: (i % groupCount) * groupLength, rows: groupLength };
    return [...weights.multiply(matrix, back.subarray(i * columns, (i + 1) * columns))];
  });
  return blocks.project(Float64Array.from(parts.flat()), tensors.attentionOutput!);
}

/** The layer's compressed keys of all positions so far, [keys, headDim]. */
function moreKeys(h: Float64Array, input: CompressedInput): Float64Array {
  const { config, tensors, cache, index } = input;
  const { keys } = tensors.compressed!;
  const { keyRatio: ratio } = config.layers[index];
  if (keys === null || ratio === undefined) return new Float64Array(0);
  cache.rows = withRows(cache.rows, h, { keys, ratio, ...input });
  return compress(cache.rows, { keys, headDim: config.headDim, ratio, ...input });
}

/** What tokens give to compressed keys: of each what is averaged, then what weighs it. */
function withRows(
  rows: Float64Array,
  h: Float64Array,
  { keys, ratio, blocks, weights, fromPosition }: CompressedInput & {
    readonly keys: CompressorTensors;
    readonly ratio: number;
  },
): Float64Array {
  const width = keys.key.rows;
  const values = blocks.project(h, keys.key), gates = blocks.project(h, keys.gate);
  const places = weights.vector(keys.places);
  const n = values.length / width;
  const more = new Float64Array(2 * n * width);
  for (let t = 0; t < n; t++) {
    const place = (fromPosition + t) % ratio;
    for (let i = 0; i < width; i++) {
      more[2 * t * width + i] = values[t * width + i];
      more[(2 * t + 1) * width + i] = gates[t * width + i] + places[place * width + i];
    }
  }
  return append(rows, 2 * fromPosition * width, more);
}

/** Keys of whole runs of `ratio` tokens, [keys, headDim], turned. */
function compress(
  rows: Float64Array,
  { keys, headDim, ratio, config, weights, index }: CompressedInput & {
    readonly keys: CompressorTensors;
    readonly headDim: number;
    readonly ratio: number;
  },
): Float64Array {
  const width = keys.key.rows;
  const count = Math.floor(rows.length / (2 * width) / ratio);
  const means = new Float64Array(count * headDim);
  for (let key = 0; key < count; key++) {
    for (let i = 0; i < headDim; i++) {
      const seen: number[] = [];
      for (let j = 0; j < ratio; j++) {
        const own = 2 * (key * ratio + j) * width;
        // Of the tokens before what comes first, of its own what comes last.
        if (width > headDim && key > 0) seen.push(own - 2 * ratio * width + i);
        seen.push(own + width - headDim + i);
      }
      const shares = softmax(seen.map((at) => rows[at + width]));
      means[key * headDim + i] = seen.reduce((sum, at, j) => sum + shares[j] * rows[at], 0);
    }
  }
  const normed = rmsNorm(means, weights.vector(keys.norm), config.norm.epsilon);
  const { ropes, compression } = config;
  return atFirst(normed, { headDim, ratio, rope: ropes[config.layers[index].rope!], compression });
}

/** Turned by the angles of each key's first token. */
function atFirst(
  x: Float64Array,
  { headDim, ratio, rope: shape, compression }: {
    readonly headDim: number;
    readonly ratio: number;
    readonly rope: ModelConfig["ropes"][number];
    readonly compression?: CompressionConfig;
  },
): Float64Array {
  const { turnedDim: rotDim } = compression!;
  const frequencies = ropeFrequencies(shape, null);
  const table = new Float64Array(x.length / headDim * rotDim);
  for (let key = 0; key < x.length / headDim; key++) {
    fillRopeTable(frequencies, key * ratio, table, key * rotDim);
  }
  const start = headDim - rotDim;
  return rope(x, table, { heads: 1, headDim, rotDim, start, kind: shape.kind });
}

/** Numbers of the compressed keys that token t attends to, of so many. */
function chosen(
  { h, short }: { readonly h: Float64Array; readonly short: Float64Array },
  keyCount: number,
  input: CompressedInput,
): (t: number) => number[] {
  const { config, blocks, tensors, fromPosition, rotations, index, cache } = input;
  const { keyRatio: ratio, rope: turning } = config.layers[index];
  const { indexer } = tensors.compressed!;
  if (ratio === undefined || keyCount === 0) return () => [];
  const seen = (t: number) =>
    Array.from({ length: Math.floor((fromPosition + t + 1) / ratio) }, (_, key) => key);
  if (indexer === null) return seen;
  const { headCount: heads, headDim, keyCount: most } = config.compression!.indexer;
  const { turnedDim: rotDim } = config.compression!;
  cache.indexed = withRows(cache.indexed, h, { ...input, keys: indexer.keys, ratio });
  const keys = compress(cache.indexed, { ...input, keys: indexer.keys, headDim, ratio });
  const shape = { heads, headDim, rotDim, start: headDim - rotDim, kind: config.ropes[0].kind };
  const query = rope(blocks.project(short, indexer.query), rotations[turning!], shape);
  const counts = blocks.project(h, indexer.weights);
  return (t) => {
    const scores = seen(t).map((key) => {
      let score = 0;
      for (let head = 0; head < heads; head++) {
        let dot = 0;
        for (let i = 0; i < headDim; i++) {
          dot += query[(t * heads + head) * headDim + i] * keys[key * headDim + i];
        }
        score += counts[t * heads + head] * Math.max(0, dot);
      }
      return score;
    });
    return seen(t).sort((a, b) => scores[b] - scores[a] || a - b).slice(0, most);
  };
}
