/** A model that answers a source: which layers read it, and what others keep of it. */
import type { LayerTensors, ModelConfig } from "../model/mod.ts";
import type { ReferenceBlocks } from "./blocks.ts";

/** Layers from `start` on, below `end`: of a model without a source all of them write. */
export function walkedLayers(
  { source, blockCount }: ModelConfig,
  stage: "reads" | undefined,
): { readonly start: number; readonly end: number } {
  const border = source?.readingLayers ?? 0;
  return stage === "reads" ? { start: 0, end: border } : { start: border, end: blockCount };
}

/**
 * Keys and values of the source, by the layers that ask it.
 * @param left what the last reading layer leaves, normalised, [n, d]
 */
export function sourceKeys(
  left: Float64Array,
  layers: readonly LayerTensors[],
  { config, blocks }: { readonly config: ModelConfig; readonly blocks: ReferenceBlocks },
): Map<number, { readonly keys: Float64Array; readonly values: Float64Array }> {
  const asking = [...layers.entries()].filter(([index]) => config.layers[index].stage === "asks");
  return new Map(asking.map(([index, { key, value }]) => [index, {
    keys: blocks.project(left, key!),
    values: blocks.project(left, value!),
  }]));
}
