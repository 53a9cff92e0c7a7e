/**
 * Layers whose blocks read the stream and what it was at some layers before, by a softmax over all
 * of them (Kimi K3). Plain formulas.
 */
import type { HyperTensors, ModelConfig, ModelTensors } from "../model/mod.ts";
import type { ReferenceBlocks, Show } from "./blocks.ts";
import { add, rmsNorm } from "./ops.ts";
import type { ReferenceWeights } from "./weights.ts";

interface Parts {
  readonly config: ModelConfig;
  readonly weights: ReferenceWeights;
}

/**
 * What the model's end reads, [n, d], of embeddings x; mix: what a layer gives in attention's
 * place.
 */
export function keptInputsWalk(
  x: Float64Array,
  of: Parts & {
    readonly tensors: ModelTensors;
    readonly blocks: ReferenceBlocks;
    readonly mix: (h: Float64Array, layer: number) => Float64Array;
    readonly show: Show;
  },
): Float64Array {
  const { config, blocks, tensors: { layers, hyperEnd }, mix } = of;
  const kept: Float64Array[] = [];
  let stream = x;
  for (let index = 0; index < config.blockCount; index++) {
    const tensors = layers[index];
    const show: Show = (name, data) => of.show(`layer ${index} ${name}`, data);
    const attends = readAll([...kept, stream], tensors.hyper!.attention, of);
    const begins = index % config.hyper!.keepsEvery! === 0;
    if (begins) kept.push(stream);
    const h = show("attention norm", blocks.norm(attends, tensors.attentionNorm));
    const given = show("attention out", mix(h, index));
    stream = begins ? given : add(stream, given);
    const residual = readAll([...kept, stream], tensors.hyper!.feedForward, of);
    const inputs = { h: blocks.norm(residual, tensors.feedForwardNorm), residual };
    const fed = blocks.feedForward({ ...inputs, layerInput: residual }, tensors.feedForward!, show);
    stream = show("feed-forward out", add(stream, fed));
  }
  return readAll([...kept, stream], hyperEnd!, of);
}

/** Σ p · stream, p = softmax(score · norm(stream)) over the streams, token by token. */
function readAll(
  streams: readonly Float64Array[],
  { mixer }: HyperTensors,
  { config: { embeddingLength: d, norm }, weights }: Parts,
): Float64Array {
  const score = weights.matrix(mixer);
  const normed = streams.map((stream) => rmsNorm(stream, score, norm.epsilon));
  const out = new Float64Array(streams[0].length);
  for (let first = 0; first < out.length; first += d) {
    const scores = normed.map((each) => each.subarray(first, first + d).reduce((a, b) => a + b, 0));
    const most = Math.max(...scores);
    const shares = scores.map((each) => Math.exp(each - most));
    const sum = shares.reduce((a, b) => a + b, 0);
    for (const [index, stream] of streams.entries()) {
      for (let i = first; i < first + d; i++) out[i] += shares[index] / sum * stream[i];
    }
  }
  return out;
}
