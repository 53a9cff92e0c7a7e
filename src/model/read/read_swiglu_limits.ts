/** Metadata keys to how far SwiGLU goes in a layer. Looks at no tensors. */
import type { Family } from "../family.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import type { LayerConfig, SwigluLimit } from "../types.ts";

/** Smaller ones would cut off what SiLU has below 0; none is meant that does. */
const LEAST = 0.3;

/**
 * Layers with their limits, which are 0 in those that have none.
 * @throws {ModelFormatError} when a key is neither a number nor a list of one for each block.
 */
export function limitedLayers(
  keys: Hyperparameters,
  { swigluLimits: kind, compressesKeys }: Family,
  layers: readonly LayerConfig[],
): readonly LayerConfig[] {
  if (kind === null) return layers;
  const read = (key: string) =>
    readLimits(keys, key, layers.length).map((limit): SwigluLimit | null => {
      if (limit === 0) return null;
      // A gate that is cut off at l gives silu(l) at most, and all below l is as it was.
      return { gate: kind === "gates" ? limit / (1 + Math.exp(-limit)) : limit, up: limit };
    });
  const experts = read("swiglu_clamp_exp");
  const isForAll = compressesKeys && !keys.has("swiglu_clamp_shexp");
  const others = isForAll ? experts : read("swiglu_clamp_shexp");
  return layers.map((layer, i) =>
    experts[i] === null && others[i] === null
      ? layer
      : { ...layer, limits: { experts: experts[i], others: others[i] } }
  );
}

/** A number for all layers, or a list with one for each; some behind it are of no layer here. */
function readLimits(keys: Hyperparameters, key: string, layerCount: number): number[] {
  const said = keys.value(key);
  const limits = typeof said === "object"
    ? Array.from(said as ArrayLike<unknown>, Number).slice(0, layerCount)
    : Array<number>(layerCount).fill(keys.float(key, { min: -Infinity, absent: 0 }));
  const isLimit = (limit: number) => limit === 0 || limit >= LEAST && limit < Infinity;
  if (limits.length === layerCount && limits.every(isLimit)) return limits;
  throw keys.wrong(key, `0 or ${LEAST} and more, one for all or each of ${layerCount} blocks`);
}
