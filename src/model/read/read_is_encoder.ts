/** Which way a model's tokens look. */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { Family } from "../family.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import type { LayerConfig } from "../types.ts";

/**
 * Files of encoders say that they are, and so may others whose tokens see all that are before; of
 * models that fill in it is nothing new.
 */
export function isEncoder(
  keys: Hyperparameters,
  family: Family,
  layers: readonly LayerConfig[],
): boolean {
  if (family.fills) return false;
  const isSaid = !keys.flag("attention.causal", !family.isEncoder);
  if (isSaid === family.isEncoder) return isSaid;
  const seesAll = (layer: LayerConfig) =>
    layer.slidingWindow === 0 && !layer.attentionChunk && !layer.convolutionTaps &&
    !layer.hasStates && layer.attends !== false && layer.keysOf === undefined;
  if (isSaid && layers.every(seesAll)) return true;
  throw new UnsupportedModelError(
    `Cannot run this ${family.architecture} model: it attends ` +
      `${isSaid ? "to later tokens" : "to earlier tokens only"}, which this version does not ` +
      "compute in such models: use another model",
  );
}
