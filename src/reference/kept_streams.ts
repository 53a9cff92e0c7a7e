/**
 * What is kept beside the residual stream, and what ends a pass through layers that are used
 * several times: plain formulas. Knows no attention and no neurons.
 */
import type { LayerTensors, ModelConfig, ModelTensors, NormTensors } from "../model/mod.ts";
import { add } from "./ops.ts";
import type { ReferenceWeights } from "./weights.ts";

/** Streams, [n, d] each; none in most models. */
export type Kept = readonly Float64Array[];

interface Parts {
  readonly config: ModelConfig;
  readonly weights: ReferenceWeights;
  readonly blocks: { norm(x: Float64Array, tensors: NormTensors | null): Float64Array };
}

/** The embeddings x, [n, d], and where there are two, what the other one begins with. */
export function startKept(
  x: Float64Array,
  { secondStream }: ModelTensors,
  { config, weights }: Parts,
): Kept {
  if (config.keptStreams === undefined) return [];
  if (secondStream === undefined) return [x];
  const second = weights.vector(secondStream);
  return [x, x.map((_, i) => second[i % second.length])];
}

/** The sum of two; else x. */
export function sumOf(kept: Kept, x: Float64Array): Float64Array {
  return kept.length === 2 ? add(kept[0], kept[1]) : x;
}

/** What goes on behind the layer, and what is kept then. */
export function endPass(
  x: Float64Array,
  kept: Kept,
  { layer, tensors, config, weights, blocks }: Parts & { layer: number; tensors: LayerTensors },
): { x: Float64Array; kept: Kept } {
  const { embeddingScale, endNorm } = tensors;
  if (embeddingScale !== undefined) {
    const [scale] = weights.vector(embeddingScale);
    return { x: add(x, kept[0].map((value) => value * scale)), kept };
  }
  if (endNorm === undefined) return { x, kept };
  const ended = blocks.norm(x, endNorm);
  const { stream = null } = config.layers[layer].passEnd ?? {};
  if (stream === null) return { x: ended, kept };
  const now = kept.map((each, index) => index === stream ? ended : each);
  return { x: sumOf(now, ended), kept: now };
}
