/** What a model does with rows of images and sounds: how many parts they have, where these go. */
import type { Family } from "../family.ts";
import type { GivenConfig } from "../given_types.ts";
import type { Hyperparameters } from "./hyperparameters.ts";

const KEY = "n_deepstack_layers";
const MAPPING = "deepstack_mapping";
/** More than any model has. */
const LAYERS_MAX = 64;

/**
 * Nothing where there is one part that goes in as it is, as in most models.
 * @throws {ModelFormatError} when the file's numbers make no sense.
 */
export function readGivenParts(
  keys: Hyperparameters,
  { sections, scalesGiven }: Family,
): GivenConfig {
  if (scalesGiven) return readMapping(keys);
  if (sections !== "interleaved") return {};
  const layers = keys.integer(KEY, { min: 0, max: LAYERS_MAX, absent: 0 });
  if (layers > keys.integer("block_count", { min: 1 })) {
    throw keys.wrong(KEY, "at most the number of blocks");
  }
  return layers > 0 ? { givenParts: 1 + layers } : {};
}

/** Granite's: of each layer the part that is added before it, or -1; rows of one are scaled. */
function readMapping(keys: Hyperparameters): GivenConfig {
  const values = keys.value(MAPPING);
  if (values === undefined) return { scalesGiven: true };
  const blocks = keys.integer("block_count", { min: 1 });
  const parts = values instanceof Int32Array && values.length === blocks ? [...values] : [];
  const all = new Set(parts.filter((part) => part >= 0));
  const isPart = (part: number) => part === -1 || part >= 1 && part <= all.size;
  // The first layer reads what goes in.
  if (parts[0] === -1 && parts.every(isPart) && all.size <= LAYERS_MAX) {
    const partsBehind = [...parts.slice(1), -1].map((part) => Math.max(0, part));
    return all.size > 0 ? { givenParts: 1 + all.size, partsBehind } : { scalesGiven: true };
  }
  throw keys.wrong(
    MAPPING,
    `a number for each of ${blocks} blocks: -1, of the first one, too, or a part that is added ` +
      `before it, from 1 on and without gaps, ${LAYERS_MAX} at most`,
  );
}
