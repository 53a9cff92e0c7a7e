/** What a model's neurons do, layer by layer: what the page draws, and anyone may ask. */
import type { Context } from "hono";
import type { LayerActivity } from "../../llm/types.ts";
import type { ServerEnv } from "../guards.ts";
import type { AppSettings } from "../options.ts";
import { shownModel } from "./shown_model.ts";

/**
 * Sums since the model was loaded; who wants the last second looks twice. A model that is not in
 * memory has no layers, and is not loaded for that.
 */
export function neurons(c: Context<ServerEnv>, { models }: AppSettings): Response {
  const { card: { id }, live } = shownModel(models, c.req.query("model"));
  const activity = live?.neurons;
  return Response.json({
    object: "neurons",
    model: id,
    is_sparse: activity?.isSparse ?? false,
    is_streamed: activity?.isStreamed ?? false,
    layers: activity?.layers.map(onWire) ?? [],
  });
}

/** Some that are looked for do not fire after all: no more are hot than computed. */
function onWire(layer: LayerActivity) {
  const { neurons, skipped, cacheHits, cacheMisses, diskReads, diskBytes } = layer;
  const computed = Math.max(0, neurons - skipped);
  const hot = Math.min(layer.hot, computed);
  return {
    ...{ neurons, hot, cold: computed - hot, skipped },
    ...{ cache_hits: cacheHits, cache_misses: cacheMisses },
    ...{ disk_reads: diskReads, disk_bytes: diskBytes },
  };
}
