/** What a model's neurons do, layer by layer: what the page draws, and anyone may ask. */
import type { Context } from "hono";
import type { LayerActivity, NeuronActivity } from "../../llm/types.ts";
import type { ServerEnv } from "../guards.ts";
import { isManaged } from "../manage_models.ts";
import { idOf, modelNotFound, type ModelSource } from "../model_source.ts";
import type { AppSettings } from "../options.ts";

/**
 * Sums since the model was loaded; who wants the last second looks twice. A model that is not in
 * memory has no layers, and is not loaded for that.
 */
export function neurons(c: Context<ServerEnv>, { models }: AppSettings): Response {
  const { id, activity } = find(models, c.req.query("model"));
  return Response.json({
    object: "neurons",
    model: id,
    is_sparse: activity?.isSparse ?? false,
    is_streamed: activity?.isStreamed ?? false,
    layers: activity?.layers.map(onWire) ?? [],
  });
}

function find(
  models: ModelSource,
  asked: string | undefined,
): { id: string; activity: NeuronActivity | undefined } {
  const all = isManaged(models)
    ? models.list().map(({ id, model }) => ({ id, activity: () => model?.neurons }))
    : models.list().map((card) => ({ id: card.id, activity: () => card.neurons }));
  // Of one model, any name is its name, as elsewhere.
  const isAny = !asked || all.length === 1;
  const wanted = isAny ? all[0]?.id : idOf(models, asked);
  const found = all.find(({ id }) => id === wanted);
  if (found === undefined) throw modelNotFound(models, asked);
  return { id: found.id, activity: found.activity() };
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
