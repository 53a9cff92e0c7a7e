/** What goes around neurons in models of states: rows before, and gates. Plain formulas. */
import type { LayerTensors } from "../model/mod.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { shiftRows } from "./keyed_scan.ts";
import { append, type LayerCache } from "./layer_cache.ts";
import { sigmoid } from "./routing.ts";
import type { ReferenceWeights } from "./weights.ts";

interface Parts {
  readonly tensors: LayerTensors;
  readonly weights: ReferenceWeights;
  readonly blocks: ReferenceBlocks;
  readonly cache: LayerCache;
}

/** What neurons give, times sigmoid(matrix · shifted row), where it is gated. */
export function gateNeurons(
  neurons: Float64Array,
  { tensors: { neuronGate }, weights, blocks, cache }: Parts,
): Float64Array {
  if (neuronGate === undefined) return neurons;
  const rows = shiftRows(cache.fed, weights.vector(neuronGate.shift));
  const own = rows.subarray(rows.length - neurons.length);
  const gate = blocks.project(own, neuronGate.matrix);
  return neurons.map((value, i) => value * sigmoid(gate[i]));
}

/** What neurons read, mixed with what they read before it, where they do. */
export function mixWithBefore(
  h: Float64Array,
  kept: number,
  { tensors: { feedForwardShift }, weights, cache }: Parts,
): Float64Array {
  if (feedForwardShift === undefined) return h;
  cache.fed = append(cache.fed, kept, h);
  const rows = shiftRows(cache.fed, weights.vector(feedForwardShift));
  return rows.subarray(rows.length - h.length);
}
