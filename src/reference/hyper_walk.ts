/** Layers whose blocks mix residual streams, or read what was kept of one. Plain formulas. */
import type { ModelTensors } from "../model/mod.ts";
import type { Show } from "./blocks.ts";
import { compressedHeads, type CompressedInput } from "./compressed_heads.ts";
import { endHyper, mixStreams } from "./hyper_streams.ts";
import { keptInputsWalk } from "./kept_inputs_walk.ts";
import type { LayerCache } from "./layer_cache.ts";

/** What the model's end reads, [n, d], of embeddings x. */
export function hyperWalk(
  x: Float64Array,
  of: Omit<CompressedInput, "index" | "tensors" | "cache"> & {
    readonly tensors: ModelTensors;
    readonly caches: readonly LayerCache[];
    readonly ids: readonly number[];
    readonly show: Show;
    /** What a layer's attention gives of h, where its keys are not compressed, [n, d]. */
    readonly mix: (h: Float64Array, index: number) => Float64Array;
  },
): Float64Array {
  const { config, blocks, tensors: { layers, hyperEnd }, caches, ids } = of;
  if (config.hyper!.keepsEvery !== undefined) return keptInputsWalk(x, of);
  let streams = Array.from({ length: config.hyper!.streamCount }, () => x);
  for (let index = 0; index < config.blockCount; index++) {
    const tensors = layers[index];
    const show: Show = (name, data) => of.show(`layer ${index} ${name}`, data);
    const attends = mixStreams(streams, tensors.hyper!.attention, of);
    const h = show("attention norm", blocks.norm(attends.reads, tensors.attentionNorm));
    const given = config.compression === undefined
      ? of.mix(h, index)
      : compressedHeads(h, { ...of, index, tensors, cache: caches[index] });
    streams = [...attends.leave(show("attention out", given))];
    const feeds = mixStreams(streams, tensors.hyper!.feedForward, of);
    const { limits } = config.layers[index], { reads: residual } = feeds;
    const inputs = { h: blocks.norm(residual, tensors.feedForwardNorm), residual, limits, ids };
    const fed = blocks.feedForward({ ...inputs, layerInput: residual }, tensors.feedForward!, show);
    streams = [...feeds.leave(show("feed-forward out", fed))];
  }
  return endHyper(streams, hyperEnd!, of);
}
