/**
 * Residual streams of which each block reads a mixture, and which each block mixes anew: plain
 * formulas. Knows no attention and no neurons.
 */
import type { HyperConfig, HyperTensors, MatrixTensor } from "../model/mod.ts";
import { rmsNorm } from "./ops.ts";
import { sigmoid } from "./routing.ts";
import type { Streams } from "./alt_up.ts";

interface Parts {
  readonly config: { readonly hyper?: HyperConfig; readonly norm: { readonly epsilon: number } };
  readonly weights: { vector(vector: NonNullable<HyperTensors["base"]>): ArrayLike<number> };
  readonly blocks: { project(h: Float64Array, matrix: MatrixTensor): Float64Array };
}

/** What a block reads, [n, d], and what becomes of what it gives. */
export interface Mixture {
  readonly reads: Float64Array;
  /** The streams that it leaves; made: what it gives, [n, d]. */
  readonly leave: (made: Float64Array) => Streams;
}

/** reads = Σ (sigmoid(share) + epsilon) · stream; for a layer's block. */
export function mixStreams(streams: Streams, tensors: HyperTensors, parts: Parts): Mixture {
  const m = streams.length;
  const { epsilon, rounds, magnitude, least } = parts.config.hyper!;
  const shares = sharesOf(streams, tensors, parts);
  const reads = shares.map((own) => own.slice(0, m).map((value) => sigmoid(value) + epsilon));
  const goes = shares.map((own) =>
    own.slice(m, 2 * m).map((value) => magnitude * sigmoid(value) + least)
  );
  const between = shares.map((own) =>
    rounds === 0 ? unmixed(m) : evened(own.slice(2 * m), { m, epsilon, rounds })
  );
  const d = streams[0].length / shares.length;
  return {
    reads: weighed(streams, reads),
    leave: (made) =>
      streams.map((_, to) =>
        made.map((value, i) => {
          const t = Math.floor(i / d);
          return streams.reduce(
            (sum, from, k) => sum + between[t][k * m + to] * from[i],
            goes[t][to] * value,
          );
        })
      ),
  };
}

/** What each stream has stays its own. */
function unmixed(m: number): number[] {
  return Array.from({ length: m * m }, (_, i) => i % (m + 1) === 0 ? 1 : 0);
}

/** What the model's end reads, [n, d]. */
export function endHyper(streams: Streams, tensors: HyperTensors, parts: Parts): Float64Array {
  const { epsilon } = parts.config.hyper!;
  const shares = sharesOf(streams, tensors, parts);
  return weighed(streams, shares.map((own) => own.map((value) => sigmoid(value) + epsilon)));
}

/** Σ share of the token · stream. */
function weighed(streams: Streams, shares: readonly (readonly number[])[]): Float64Array {
  const d = streams[0].length / shares.length;
  return streams[0].map((_, i) => {
    const own = shares[Math.floor(i / d)];
    return streams.reduce((sum, stream, k) => sum + own[k] * stream[i], 0);
  });
}

/** scale · mixer · norm(all streams side by side) + base, of each token. */
function sharesOf(
  streams: Streams,
  { mixer, base, scale }: HyperTensors,
  { config, weights, blocks }: Parts,
): number[][] {
  const m = streams.length, d = mixer.columns / m, n = streams[0].length / d;
  const bases = weights.vector(base!), scales = weights.vector(scale!);
  return Array.from({ length: n }, (_, t) => {
    const all = streams.flatMap((stream) => [...stream.subarray(t * d, (t + 1) * d)]);
    const read = rmsNorm(all, new Float64Array(m * d).fill(1), config.norm.epsilon);
    const mixed = blocks.project(read, mixer);
    return Array.from(
      mixed,
      (value, i) => value * scales[Math.min(2, Math.floor(i / m))] + bases[i],
    );
  });
}

/**
 * Rows by streams that something comes from, columns by those that it goes to: a softmax of each
 * row, then, as often as `rounds` says, columns and rows divided by their sums, columns last.
 */
function evened(
  x: readonly number[],
  { m, epsilon, rounds }: {
    readonly m: number;
    readonly epsilon: number;
    readonly rounds: number;
  },
): number[] {
  const all = Array.from({ length: m }, (_, i) => i);
  const rowOf = (of: readonly number[], row: number) => of.slice(row * m, (row + 1) * m);
  let values = all.flatMap((row) => {
    const own = rowOf(x, row), largest = Math.max(...own);
    const powers = own.map((value) => Math.exp(value - largest));
    const sum = powers.reduce((total, power) => total + power);
    return powers.map((power) => power / sum + epsilon);
  });
  for (let round = 0; round < rounds; round++) {
    if (round > 0) {
      const sums = all.map((row) =>
        rowOf(values, row).reduce((sum, value) => sum + value, epsilon)
      );
      values = values.map((value, i) => value / sums[Math.floor(i / m)]);
    }
    const sums = all.map((to) => all.reduce((sum, row) => sum + values[row * m + to], epsilon));
    values = values.map((value, i) => value / sums[i % m]);
  }
  return values;
}
