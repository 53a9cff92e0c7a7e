/** How many rows of a text model a tower's rows become. */
import type { ProjectorConfig } from "./vision_types.ts";

/** Of a frame: `ProjectorConfig.frameEpsilon`. */
export const FRAME_ROWS = 3;

/**
 * Rows that come out of the first `kept` ones of a tower; null: they are no whole ones, and the
 * projector adds none.
 */
export function projectedRows(
  { mergedRows, pooledRows = 1, isPadded, resampler, fold, frameEpsilon }: ProjectorConfig,
  kept: number,
): number | null {
  if (resampler !== undefined) return resampler.queryCount;
  const rows = kept / (mergedRows * pooledRows * (fold?.rows ?? 1));
  if (frameEpsilon !== undefined) return Number.isInteger(rows) ? rows + FRAME_ROWS : null;
  return isPadded ? Math.ceil(rows) : Number.isInteger(rows) ? rows : null;
}
