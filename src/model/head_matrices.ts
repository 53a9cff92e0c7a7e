/** The matrices that heads have, of a layer that is known to have heads. */
import { check } from "../base/check.ts";
import type { LayerTensors } from "./types.ts";

/** What is null in layers that neither attend nor convolve. */
export type HeadMatrices = {
  readonly [name in "query" | "key" | "value" | "attentionOutput"]: NonNullable<LayerTensors[name]>;
};

/** Those of a layer that attends or convolves. */
export function headMatrices(
  { query, key, value, attentionOutput }: LayerTensors,
): HeadMatrices {
  check(query !== null && key !== null && value !== null, "the layer has heads");
  check(attentionOutput !== null, "what heads give is merged");
  return { query, key, value, attentionOutput };
}
