/**
 * What of a model that answers a source a token of its prompt is computed by, and what a token of
 * its answer: other layers. Of all other models both are computed by all.
 */
import type { ModelDescription } from "../model/types.ts";

type Shares = Readonly<Record<"ofPrompt" | "ofAnswer", boolean>>;

/** By layer: who is computed by it. */
export function sharesOf({ source, layers }: ModelDescription["config"], layer: number): Shares {
  if (source === undefined) return { ofPrompt: true, ofAnswer: true };
  const isReading = layers[layer].stage === "reads";
  return { ofPrompt: isReading, ofAnswer: !isReading };
}

/** Layers that a token of an answer goes through. */
export function answeringLayers({ source, blockCount }: ModelDescription["config"]): number {
  return blockCount - (source?.readingLayers ?? 0);
}

/** Names of tensors by which a token of a prompt, or of an answer, is not computed. */
export function unusedTensors(
  { config, tensors }: ModelDescription,
  of: keyof Shares,
): ReadonlySet<string> {
  const names = new Set<string>();
  tensors.layers.forEach((layer, index) => {
    if (!sharesOf(config, index)[of]) addNames(layer, names);
  });
  if (config.source !== undefined && of === "ofPrompt") addNames(tensors.output, names);
  return names;
}

function addNames(value: unknown, names: Set<string>): void {
  if (typeof value !== "object" || value === null) return;
  if ("tensor" in value && typeof value.tensor === "string") names.add(value.tensor);
  for (const part of Object.values(value)) addNames(part, names);
}
