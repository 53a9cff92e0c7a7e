/** How many parts rows of images have for a text model. */
import type { Family } from "../family.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import type { ModelConfig } from "../types.ts";

const KEY = "n_deepstack_layers";
/** More than any model has. */
const LAYERS_MAX = 64;

/**
 * Nothing where there is one part, as in most models.
 * @throws {ModelFormatError} when the file's number makes no sense.
 */
export function readGivenParts(
  keys: Hyperparameters,
  { sections }: Family,
): Pick<ModelConfig, "givenParts"> {
  if (sections !== "interleaved") return {};
  const layers = keys.integer(KEY, { min: 0, max: LAYERS_MAX, absent: 0 });
  if (layers > keys.integer("block_count", { min: 1 })) {
    throw keys.wrong(KEY, "at most the number of blocks");
  }
  return layers > 0 ? { givenParts: 1 + layers } : {};
}
