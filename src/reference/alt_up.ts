/**
 * Several residual streams, of which layers compute with the first, and what goes around attention:
 * plain formulas. Knows no attention and no neurons.
 */
import type {
  LayerAltUpTensors,
  MatrixTensor,
  ModelConfig,
  ModelTensors,
  NormTensors,
} from "../model/mod.ts";
import { add } from "./ops.ts";

/** Streams, [n, d] each. */
export type Streams = readonly Float64Array[];

interface Parts {
  readonly config: ModelConfig;
  readonly weights: { vector(vector: LayerAltUpTensors["scale"]): ArrayLike<number> };
  readonly blocks: {
    project(h: Float64Array, matrix: MatrixTensor): Float64Array;
    norm(x: Float64Array, tensors: NormTensors | null): Float64Array;
  };
}

/** The embeddings, and what the starts make of them, as long as they are. */
export function startStreams(
  x: Float64Array,
  { altUp }: ModelTensors,
  { config: { embeddingLength: d }, blocks }: Parts,
): Streams {
  if (altUp === null) return [x];
  return [x, ...altUp.starts.map((start) => asLongAs(x, blocks.project(x, start), d))];
}

/** The mean of the first stream and what the ends make of the others, as long as it is. */
export function endStreams(
  streams: Streams,
  { altUp }: ModelTensors,
  { config: { embeddingLength: d }, blocks }: Parts,
): Float64Array {
  const [first, ...others] = streams;
  if (altUp === null) return first;
  const ends = others.map((each, j) => asLongAs(first, blocks.project(each, altUp.ends[j]), d));
  return ends.reduce(add, first).map((value) => value / streams.length);
}

/** Each stream, and all of them as much as the first one's modes say. */
export function guessStreams(
  streams: Streams,
  tensors: LayerAltUpTensors | null,
  parts: Parts,
): Streams {
  if (tensors === null) return streams;
  const { config: { embeddingLength: d }, weights } = parts;
  const m = streams.length;
  const modes = modesOf(streams[0], tensors, parts);
  const factors = weights.vector(tensors.guess); // [stream guessed, stream that counts, mode]
  return streams.map((stream, j) =>
    stream.map((value, i) => {
      const t = Math.floor(i / d);
      let sum = value;
      for (let k = 0; k < m; k++) {
        let factor = 0;
        for (let mode = 0; mode < m; mode++) {
          factor += factors[(j * m + k) * m + mode] * modes[t * m + mode];
        }
        sum += factor * streams[k][i];
      }
      return sum;
    })
  );
}

/** Each guess, and what the layer made of the first one less it, as much as its modes say. */
export function correctStreams(
  guesses: Streams,
  made: Float64Array,
  tensors: LayerAltUpTensors | null,
  parts: Parts,
): Streams {
  if (tensors === null) return [made];
  const { config: { embeddingLength: d }, weights } = parts;
  const m = guesses.length;
  const modes = modesOf(made, tensors, parts);
  const factors = weights.vector(tensors.correction); // [stream, mode]
  return guesses.map((guess, j) =>
    guess.map((value, i) => {
      const t = Math.floor(i / d);
      let factor = 1;
      for (let mode = 0; mode < m; mode++) factor += factors[j * m + mode] * modes[t * m + mode];
      return value + factor * (made[i] - guesses[0][i]);
    })
  );
}

/** (y + norm(up · down · h) + h) / √2, h being what attention reads; y where there is none. */
export function addBypass(
  y: Float64Array,
  h: Float64Array,
  tensors: LayerAltUpTensors | null,
  { blocks }: Parts,
): Float64Array {
  if (tensors === null) return y;
  const { down, up, norm } = tensors.bypass;
  const around = add(h, blocks.norm(blocks.project(blocks.project(h, down), up), norm));
  return add(y, around).map((value) => value / Math.SQRT2);
}

/** tanh(router · norm(x) / d), [n, m]. */
function modesOf(
  x: Float64Array,
  { router, routerNorm }: LayerAltUpTensors,
  { config: { embeddingLength: d }, blocks }: Parts,
): Float64Array {
  const read = blocks.norm(x, routerNorm).map((value) => value / d);
  return blocks.project(read, router).map(Math.tanh);
}

/** Rows of x, each as long as that of `length`. */
function asLongAs(length: Float64Array, x: Float64Array, d: number): Float64Array {
  const sizeOf = (rows: Float64Array, t: number) =>
    Math.sqrt(rows.subarray(t * d, (t + 1) * d).reduce((sum, value) => sum + value * value, 0));
  const factors = Array.from({ length: x.length / d }, (_, t) => sizeOf(length, t) / sizeOf(x, t));
  return x.map((value, i) => value * factors[Math.floor(i / d)]);
}
