/**
 * Metadata keys to what differs from layer to layer: widths and numbers of heads, numbers of
 * neurons, and whose keys and values a layer reads. Looks at no tensors.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import { type Hyperparameters, isListFor } from "./hyperparameters.ts";
import type { LayerConfig, LayerShape } from "../types.ts";

const KEY_VALUE_HEADS = "attention.head_count_kv";
const NEURONS = "feed_forward_length";
/** So many layers, the last ones, read the keys and values of others. */
const SHARING = "attention.shared_kv_layers";

/** How many heads layers have, which may be 0 in some families. */
const HEADS = "attention.head_count";

/** What layers have unless the file says more. */
export interface CommonShape {
  /** Of the layer that has the most. */
  readonly headCount: number;
  /** Of layers that see everything. */
  readonly headDim: number;
  readonly valueDim: number;
  /** 0: they have experts. */
  readonly feedForwardLength: number;
  /** They may have no heads, or no neurons. */
  readonly mayLack: boolean;
}

/** The most of each in a layer: what a key says, or the largest item of its list. */
export function largestOf(keys: Hyperparameters, key: string, absent?: number): number {
  const said = keys.value(key);
  if (typeof said !== "object") return keys.integer(key, { min: 1, absent });
  const most = Math.max(...readCounts(keys, key, said.length, { min: 0 }));
  if (most > 0) return most;
  throw keys.wrong(key, "a number above 0 in some block");
}

/**
 * Layers with shapes of their own where they have them, and with the layers whose keys they read.
 * @throws {ModelFormatError} when a key is out of range or contradicts another.
 */
export function shapedLayers(
  keys: Hyperparameters,
  layers: readonly LayerConfig[],
  common: CommonShape,
): readonly LayerConfig[] {
  const { headCount, headDim, valueDim, mayLack } = common;
  const min = mayLack ? 0 : 1;
  const heads = readCounts(keys, HEADS, layers.length, { min });
  const kvHeads = readCounts(keys, KEY_VALUE_HEADS, layers.length, { min, absent: headCount });
  const neurons = common.feedForwardLength === 0
    ? layers.map(() => 0)
    : readCounts(keys, NEURONS, layers.length, { min });
  const windowedDim = readWindowedDim(keys, headDim);
  const isWindowed = ({ slidingWindow }: LayerConfig) => slidingWindow > 0;
  const shapes = layers.map((layer, index): LayerShape => ({
    headCount: heads[index],
    headDim: isWindowed(layer) ? windowedDim : headDim,
    valueDim: isWindowed(layer) && windowedDim !== headDim ? windowedDim : valueDim,
    headCountKv: kvHeads[index],
    feedForwardLength: neurons[index],
  }));
  requireGroups(keys, shapes);
  const owners = ownersOf(keys, layers, shapes);
  return layers.map((layer, index) => ({
    ...heads[index] === 0 ? { slidingWindow: 0, rope: null, attends: false } : layer,
    shape: shapes[index],
    ...owners[index] !== index && { keysOf: owners[index] },
    ...mayLack && neurons[index] === 0 && { hasNeurons: false },
  }));
}

/** All query heads of a layer read key/value heads, as many each. */
function requireGroups(keys: Hyperparameters, shapes: readonly LayerShape[]): void {
  if (shapes.some(({ headCount, headCountKv }) => headCount > 0 && headCountKv === 0)) {
    throw new UnsupportedModelError(
      "Cannot run this model: some layers have one matrix in the place of attention, which this " +
        "version does not compute: use another model",
    );
  }
  const areGroups = ({ headCount, headCountKv }: LayerShape) =>
    headCount === 0 ? headCountKv === 0 : headCount % headCountKv === 0;
  if (shapes.every(areGroups)) return;
  const heads = shapes.map(({ headCount }) => headCount);
  throw keys.wrong(
    KEY_VALUE_HEADS,
    `divisors of the head count, ${[...new Set(heads)].join(" or ")}`,
  );
}

/** A number for all layers, or a list with one for each. */
export function readCounts(
  keys: Hyperparameters,
  key: string,
  blockCount: number,
  { min, absent }: { min: 0 | 1; absent?: number },
): number[] {
  const said = keys.value(key);
  if (typeof said !== "object") {
    return Array(blockCount).fill(keys.integer(key, { min: 1, absent }));
  }
  const counts = Array.from(said as ArrayLike<unknown>, Number);
  const areCounts = counts.every((count) => Number.isInteger(count) && count >= min);
  if (isListFor(keys, counts.length, blockCount) && areCounts) return counts.slice(0, blockCount);
  throw keys.wrong(key, `a number, or one for each of ${blockCount} blocks, all ${min} or more`);
}

/** Of heads of windowed layers. */
function readWindowedDim(keys: Hyperparameters, absent: number): number {
  const headDim = keys.integer("attention.key_length_swa", { min: 1, absent });
  const valueDim = keys.integer("attention.value_length_swa", { min: 1, absent: headDim });
  if (valueDim === headDim) return headDim;
  throw new UnsupportedModelError(
    `Cannot run this model: value heads of its windowed layers have ${valueDim} dimensions, ` +
      `their key heads ${headDim}: this version needs them equal`,
  );
}

/**
 * Whose keys and values layers read: the last one's that has its own where they see everything,
 * those of the one before it where they have a window.
 */
function ownersOf(
  keys: Hyperparameters,
  layers: readonly LayerConfig[],
  shapes: readonly LayerShape[],
): number[] {
  const own = layers.length - keys.integer(SHARING, { min: 0, max: layers.length, absent: 0 });
  return layers.map((layer, index) => {
    if (index < own) return index;
    const owner = own - (layer.slidingWindow > 0 ? 2 : 1);
    const isAlike = owner >= 0 && layers[owner].slidingWindow === layer.slidingWindow &&
      shapes[owner].headCountKv === shapes[index].headCountKv;
    if (isAlike) return owner;
    throw keys.wrong(SHARING, `so that layer ${index} reads the keys of one that is like it`);
  });
}
