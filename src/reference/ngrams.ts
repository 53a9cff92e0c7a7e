/**
 * Rows of a table that several tokens name together, and what they add to residual streams: plain
 * formulas, integers of 64 bits as such.
 */
import type { ModelConfig, NgramConfig, NgramTensors } from "../model/mod.ts";
import type { Streams } from "./alt_up.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { sideBySide, streamNorm } from "./gated_streams.ts";
import { append, type LayerCache } from "./layer_cache.ts";
import { add, each } from "./ops.ts";
import { sigmoid } from "./routing.ts";
import type { ReferenceWeights } from "./weights.ts";

/** New tokens, and the layer's tensors. */
export interface NgramInput {
  readonly config: ModelConfig;
  readonly weights: ReferenceWeights;
  readonly blocks: ReferenceBlocks;
  readonly tensors: NgramTensors;
  /** `indexed` has ids of all positions, `fed` what is convolved. */
  readonly cache: LayerCache;
  readonly ids: readonly number[];
  readonly fromPosition: number;
}

/** Below it nothing has a root. */
const LEAST = 1e-6;

/** The streams with what the tokens' rows add. */
export function addNgrams(streams: Streams, input: NgramInput): Streams {
  const { config, weights, blocks, tensors, cache, ids, fromPosition } = input;
  const { ngrams, embeddingLength: d } = config;
  const { length, taps } = ngrams!;
  const m = streams.length;
  const own = each(ids, (id) => id < 0 ? ngrams!.givenToken : id);
  cache.indexed = append(cache.indexed, fromPosition, own);
  const table = weights.matrix(tensors.table);
  const rows = Float64Array.from(
    ids.flatMap((_, t) =>
      rowsOf(cache.indexed, fromPosition + t, ngrams!).flatMap((row) => {
        const at = row * tensors.table.columns;
        return [...table.subarray(at, at + tensors.table.columns)];
      })
    ),
  );
  const keys = split(blocks.project(rows, tensors.key), m, d);
  const key = streamNorm(keys, tensors.keyNorm, input);
  const query = streamNorm(streams, tensors.queryNorm, input);
  const value = blocks.project(rows, tensors.value);
  const gated = key.map((k, s) => {
    const gates = ids.map((_, t) => gateOf(k, query[s], t * d, d));
    return value.map((each, i) => each * gates[Math.floor(i / d)]);
  });
  const more = sideBySide(streamNorm(gated, tensors.valueNorm, input), d);
  cache.fed = append(cache.fed, fromPosition * m * d, more);
  const kernel = weights.vector(tensors.convolution);
  const convolved = more.map((_, i) => {
    const channel = i % (m * d), position = fromPosition + Math.floor(i / (m * d));
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      const from = position - (taps - 1 - tap) * length;
      if (from >= 0) sum += kernel[channel * taps + tap] * cache.fed[from * m * d + channel];
    }
    return sum * sigmoid(sum);
  });
  const added = split(convolved, m, d);
  return streams.map((stream, s) => add(stream, add(gated[s], added[s])));
}

/** sigmoid(± √|key · query / √d|). */
function gateOf(key: Float64Array, query: Float64Array, at: number, d: number): number {
  let dot = 0;
  for (let i = at; i < at + d; i++) dot += key[i] * query[i];
  const score = dot / Math.sqrt(d);
  return sigmoid(Math.sign(score) * Math.sqrt(Math.max(Math.abs(score), LEAST)));
}

/** The rows that a token names with those before it, by heads. */
function rowsOf(ids: Float64Array, position: number, config: NgramConfig): readonly number[] {
  const { length, heads, endToken, multipliers } = config;
  const perLength = heads.length / (length - 1);
  const seen = [ids[position]];
  for (let back = 1, isOver = false; back < length; back++) {
    const id = ids[position - back] ?? endToken;
    isOver ||= id === endToken;
    seen.push(isOver ? endToken : id);
  }
  const multiplier = (back: number) =>
    [3, 2, 1, 0].reduce(
      (whole, part) => whole << 16n | BigInt(multipliers[4 * back + part]),
      0n,
    );
  return heads.map(({ start, count }, head) => {
    const used = 2 + Math.floor(head / perLength);
    const mixed = seen.slice(0, used)
      .reduce((all, id, back) => all ^ BigInt.asUintN(64, BigInt(id) * multiplier(back)), 0n);
    return start + Number(mixed % BigInt(count));
  });
}

/** Streams of rows [n, m · d]. */
function split(all: Float64Array, m: number, d: number): Streams {
  return Array.from({ length: m }, (_, s) =>
    Float64Array.from(
      { length: all.length / m },
      (_, i) => all[(Math.floor(i / d) * m + s) * d + i % d],
    ));
}
