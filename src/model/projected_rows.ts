/** How many rows of a text model a tower's rows become. */
import type { ProjectorConfig } from "./vision_types.ts";
import { windowedRows } from "./window_queries.ts";

/** Of a frame: `ProjectorConfig.frameEpsilon`. */
export const FRAME_ROWS = 3;

/**
 * Rows that come out of the first `kept` ones of a tower; null: they are no whole ones, and the
 * projector adds none.
 */
export function projectedRows(
  config: ProjectorConfig,
  kept: number,
): number | null {
  const { mergedRows, pooledRows = 1, isPadded, resampler, fold, frameEpsilon } = config;
  if (resampler !== undefined) return resampler.queryCount;
  if (config.windowQueries !== undefined) return windowedRows(config.windowQueries, kept);
  const asking = config.layerQueries?.[0];
  if (asking !== undefined) return kept % asking.rows === 0 ? windowedRows(asking, kept) : null;
  const rows = kept / (mergedRows * pooledRows * (fold?.rows ?? 1));
  if (frameEpsilon !== undefined) return Number.isInteger(rows) ? rows + FRAME_ROWS : null;
  return isPadded ? Math.ceil(rows) : Number.isInteger(rows) ? rows : null;
}
