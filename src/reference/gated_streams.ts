/** Residual streams that are gated where they are read: plain formulas. Knows no blocks. */
import type { GatedMixTensors, MatrixTensor, VectorTensor } from "../model/mod.ts";
import type { Streams } from "./alt_up.ts";
import { filled, rmsNorm } from "./ops.ts";
import { sigmoid } from "./routing.ts";

interface Parts {
  readonly config: {
    readonly embeddingLength: number;
    readonly norm: { readonly epsilon: number };
  };
  readonly weights: { vector(vector: VectorTensor): Float32Array };
  readonly blocks: { project(h: Float64Array, matrix: MatrixTensor): Float64Array };
}

/** What a block reads, [n, d], and what becomes of what it gives. */
export interface GatedMix {
  readonly reads: Float64Array;
  /** The streams that it leaves; made: what it gives, [n, d]. */
  readonly leave: (made: Float64Array) => Streams;
}

/** reads = Σ x ⊙ sigmoid(up · silu(down · x / m)) / m, x being normalised streams. */
export function readStreams(streams: Streams, tensors: GatedMixTensors, parts: Parts): GatedMix {
  const { config: { embeddingLength: d }, blocks } = parts;
  const m = streams.length;
  const normed = streamNorm(streams, tensors.norm, parts);
  const all = sideBySide(normed, d);
  const low = blocks.project(all, tensors.down).map((value) => value / m * sigmoid(value / m));
  const gates = blocks.project(low, tensors.up);
  const gateOf = (stream: number, i: number) =>
    sigmoid(gates[(Math.floor(i / d) * m + stream) * d + i % d]);
  const reads = streams[0].map((_, i) =>
    normed.reduce((sum, x, stream) => sum + x[i] * gateOf(stream, i), 0) / m
  );
  const goes = tensors.inject && blocks.project(all, tensors.inject);
  return {
    reads,
    leave: (made) =>
      streams.map((stream, s) =>
        stream.map((value, i) =>
          value + made[i] * 2 * sigmoid(goes![Math.floor(i / d) * m + s] / m)
        )
      ),
  };
}

/** Each stream by itself, with weights of its own, [m · d]. */
export function streamNorm(
  streams: Streams,
  weights: VectorTensor,
  { config: { embeddingLength: d, norm: { epsilon } }, weights: all }: Parts,
): Streams {
  const own = all.vector(weights);
  return streams.map((x, s) => rmsNorm(x, own.subarray(s * d, (s + 1) * d), epsilon));
}

/** [n, m · d]. */
export function sideBySide(streams: Streams, d: number): Float64Array {
  const m = streams.length;
  return filled(m * streams[0].length, (i) => {
    const row = Math.floor(i / (m * d)), column = i % (m * d);
    return streams[Math.floor(column / d)][row * d + column % d];
  });
}
