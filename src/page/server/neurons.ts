/** What the model's neurons do: looks at sums that only grow, and tells what came to them. */
import type { LayerSample, NeuronSample } from "../types.ts";
import type { Client } from "./client.ts";

/** A look at the sums of all layers. */
export interface NeuronLook {
  readonly model: string;
  readonly isSparse: boolean;
  readonly isStreamed: boolean;
  /** `performance.now()` when it came. */
  readonly atMs: number;
  readonly layers: readonly LayerSample[];
}

export async function lookAtNeurons(client: Client, model: string): Promise<NeuronLook> {
  const response = await client.fetch(`/v1/neurons?model=${encodeURIComponent(model)}`);
  const { model: name, is_sparse, is_streamed, layers } = await response.json();
  return {
    ...{ model: name, isSparse: is_sparse, isStreamed: is_streamed, atMs: performance.now() },
    layers: layers.map((layer: Record<string, number>): LayerSample => ({
      ...{ neurons: layer.neurons, hot: layer.hot, cold: layer.cold, skipped: layer.skipped },
      ...{ cacheHits: layer.cache_hits, cacheMisses: layer.cache_misses },
      ...{ diskReads: layer.disk_reads, diskBytes: layer.disk_bytes },
    })),
  };
}

/** What was done between two looks; null: they are of different models, or it was loaded anew. */
export function between(before: NeuronLook, after: NeuronLook): NeuronSample | null {
  if (before.model !== after.model || before.layers.length !== after.layers.length) return null;
  const layers = after.layers.map((layer, index) => minus(layer, before.layers[index]));
  if (layers.some(({ neurons }) => neurons < 0)) return null;
  return { ms: after.atMs - before.atMs, layers };
}

/** All layers together. */
export function total(layers: readonly LayerSample[]): LayerSample {
  return layers.reduce((sum, layer) => map2(sum, layer, (a, b) => a + b), ZERO);
}

const ZERO: LayerSample = {
  ...{ neurons: 0, hot: 0, cold: 0, skipped: 0 },
  ...{ cacheHits: 0, cacheMisses: 0, diskReads: 0, diskBytes: 0 },
};

function minus(a: LayerSample, b: LayerSample): LayerSample {
  return map2(a, b, (x, y) => x - y);
}

function map2(a: LayerSample, b: LayerSample, of: (x: number, y: number) => number): LayerSample {
  return {
    ...{ neurons: of(a.neurons, b.neurons), hot: of(a.hot, b.hot), cold: of(a.cold, b.cold) },
    ...{ skipped: of(a.skipped, b.skipped), cacheHits: of(a.cacheHits, b.cacheHits) },
    ...{ cacheMisses: of(a.cacheMisses, b.cacheMisses) },
    ...{ diskReads: of(a.diskReads, b.diskReads), diskBytes: of(a.diskBytes, b.diskBytes) },
  };
}
