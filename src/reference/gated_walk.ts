/** Layers that read gated streams, and the one before which tokens name rows. Plain formulas. */
import type { ModelTensors } from "../model/mod.ts";
import type { Streams } from "./alt_up.ts";
import type { Show } from "./blocks.ts";
import { readStreams } from "./gated_streams.ts";
import type { LayerCache } from "./layer_cache.ts";
import { addNgrams, type NgramInput } from "./ngrams.ts";

/** What the output reads, [n, d], of embeddings x. */
export function gatedWalk(
  x: Float64Array,
  of: Omit<NgramInput, "tensors" | "cache"> & {
    readonly tensors: ModelTensors;
    readonly caches: readonly LayerCache[];
    /** What a layer's heads, or states, give of h, [n, d]. */
    readonly mix: (h: Float64Array, layer: number) => Float64Array;
    readonly show: Show;
  },
): Float64Array {
  const { config, blocks, tensors: { layers, gatedEnd }, caches } = of;
  let streams: Streams = Array.from({ length: config.gatedStreams!.streamCount }, () => x);
  for (let index = 0; index < config.blockCount; index++) {
    const { gated, ngrams, feedForward } = layers[index];
    const show: Show = (name, data) => of.show(`layer ${index} ${name}`, data);
    if (ngrams) streams = addNgrams(streams, { ...of, tensors: ngrams, cache: caches[index] });
    const attends = readStreams(streams, gated!.attention, of);
    const h = show("attention norm", attends.reads);
    streams = attends.leave(show("attention out", of.mix(h, index)));
    const feeds = readStreams(streams, gated!.feedForward, of);
    const { reads } = feeds, inputs = { h: reads, residual: reads, layerInput: reads };
    streams = feeds.leave(show("feed-forward out", blocks.feedForward(inputs, feedForward!, show)));
  }
  return of.show("norm", readStreams(streams, gatedEnd!, of).reads);
}
