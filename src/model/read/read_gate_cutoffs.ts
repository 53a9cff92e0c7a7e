/** Metadata keys to where gates of neurons are cut off, layer by layer. Looks at no tensors. */
import type { Hyperparameters } from "./hyperparameters.ts";
import type { LayerConfig } from "../types.ts";

/** Standard deviations above the mean, by layer; minus infinity: gates are as they are. */
const KEY = "activation_sparsity_scale";

/**
 * Layers with their cutoffs, where they have some.
 * @throws {ModelFormatError} when the file does not say what all of them are.
 */
export function withGateCutoffs(
  keys: Hyperparameters,
  layers: readonly LayerConfig[],
): readonly LayerConfig[] {
  const said = keys.value(KEY);
  const expected = `a list of ${layers.length} numbers, one for each block`;
  const isList = typeof said === "object" && said.length === layers.length;
  if (!isList) throw keys.wrong(KEY, expected);
  const scales = Array.from(said as ArrayLike<unknown>, Number);
  if (scales.some((scale) => Number.isNaN(scale) || scale === Infinity)) {
    throw keys.wrong(KEY, expected);
  }
  return layers.map((layer, index) =>
    scales[index] === -Infinity ? layer : { ...layer, gateCutoff: scales[index] }
  );
}
