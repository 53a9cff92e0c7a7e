/**
 * Metadata keys to what differs from layer to layer where a layer keeps states, or attends, or has
 * neurons: numbers of heads, of neurons, and of experts that a token uses. What a list says of a
 * layer that has no such thing counts for nothing. Looks at no tensors.
 */
import { type Hyperparameters, isListFor } from "./hyperparameters.ts";
import type { KvHeads } from "./read_convolution.ts";
import type { ExpertsConfig, LayerConfig, LayerShape } from "../types.ts";

const HEADS = "attention.head_count";
const KEY_VALUE_HEADS = "attention.head_count_kv";
const NEURONS = "feed_forward_length";
const USED_EXPERTS = "expert_used_count";
const EXPERT_NEURONS = "expert_feed_forward_length";

/** Heads of the layers that attend: the most of each in a layer, and how many each has. */
export interface UnevenHeads extends KvHeads {
  readonly headCount: number;
  /** By layer, [query heads, key/value heads]; null: all have as many, or do not attend. */
  readonly each: readonly (readonly [heads: number, kvHeads: number])[] | null;
}

/**
 * Numbers of heads: of all layers; or of keys and values a list with one for each block, 0 where it
 * does not attend, and of queries such a list or one number.
 * @throws {ModelFormatError} when it is neither, or one is no multiple of the other.
 */
export function readUnevenHeads(keys: Hyperparameters, blockCount: number): UnevenHeads {
  if (typeof keys.value(KEY_VALUE_HEADS) !== "object") {
    const headCount = keys.integer(HEADS, { min: 1 });
    const headCountKv = keys.integer(KEY_VALUE_HEADS, { min: 1, absent: headCount });
    requireMultiple(keys, headCount, headCountKv);
    return { headCount, headCountKv, attends: null, each: null };
  }
  const ofKeys = numbersOf(keys, KEY_VALUE_HEADS, blockCount);
  const ofQueries = numbersOf(keys, HEADS, blockCount);
  const attends = ofKeys.map((count) => count > 0);
  const each = ofKeys.map((count, index) =>
    [attends[index] ? ofQueries[index] : 0, count] as const
  );
  const headCountKv = Math.max(...ofKeys);
  if (headCountKv === 0) throw keys.wrong(KEY_VALUE_HEADS, "above 0 in some block");
  for (const [heads, kvHeads] of each) if (kvHeads > 0) requireMultiple(keys, heads, kvHeads);
  const headCount = Math.max(...each.map(([heads]) => heads));
  const isEven = each.every(([heads, kvHeads]) =>
    kvHeads === 0 || heads === headCount && kvHeads === headCountKv
  );
  return { headCount, headCountKv, attends, each: isEven ? null : each };
}

function requireMultiple(keys: Hyperparameters, heads: number, kvHeads: number): void {
  if (heads > 0 && heads % kvHeads === 0) return;
  throw keys.wrong(HEADS, `a multiple of the key/value heads of its block, ${kvHeads}`);
}

/** Neurons of layers that have some: the most in a layer, and by layer; null: all have as many. */
export interface NeuronLayers {
  readonly count: number;
  readonly each: readonly number[] | null;
}

/**
 * Neurons of a model whose layers have one block each, by a list with a 0 for each that has other
 * things.
 * @throws {ModelFormatError} when it is no such list.
 */
export function readNeuronLayers(keys: Hyperparameters, blockCount: number): NeuronLayers {
  if (typeof keys.value(NEURONS) !== "object") {
    return { count: keys.integer(NEURONS, { min: 1 }), each: null };
  }
  const each = numbersOf(keys, NEURONS, blockCount);
  const count = Math.max(...each);
  if (count === 0) throw keys.wrong(NEURONS, "above 0 in some block");
  return { count, each };
}

/** What sets a layer's mixture apart. */
export type LayerMixture = Pick<ExpertsConfig, "usedCount" | "feedForwardLength">;

/** The most of each in a layer. */
export function largestMixture(
  keys: Hyperparameters,
  by: { readonly expertCount: number; readonly blockCount: number },
): LayerMixture {
  const some = readMixtures(keys, by).filter((each) => each !== null);
  if (some.length === 0) throw keys.wrong(NEURONS, "above 0 in some block");
  return {
    usedCount: Math.max(...some.map(({ usedCount }) => usedCount)),
    feedForwardLength: Math.max(...some.map(({ feedForwardLength }) => feedForwardLength)),
  };
}

/**
 * Of each block's mixture, by lists or numbers that all have in common; null in the place of a
 * block without neurons. Files that do not say how long an expert is say how many neurons a token
 * uses.
 * @throws {ModelFormatError} when a number is out of range, or a list is too short.
 */
export function readMixtures(
  keys: Hyperparameters,
  { expertCount, blockCount }: { readonly expertCount: number; readonly blockCount: number },
): readonly (LayerMixture | null)[] {
  const neurons = numbersOf(keys, NEURONS, blockCount);
  const used = numbersOf(keys, USED_EXPERTS, blockCount);
  const lengths = keys.has(EXPERT_NEURONS)
    ? numbersOf(keys, EXPERT_NEURONS, blockCount)
    : neurons.map(() => 0);
  return neurons.map((count, index) => {
    if (count === 0) return null;
    const usedCount = used[index];
    if (usedCount < 1 || usedCount > expertCount) {
      throw keys.wrong(USED_EXPERTS, `from 1 to ${expertCount} in each block that has experts`);
    }
    const feedForwardLength = lengths[index] || count / usedCount;
    if (Number.isInteger(feedForwardLength)) return { usedCount, feedForwardLength };
    throw keys.wrong(NEURONS, `a multiple of the experts of a token, ${usedCount}`);
  });
}

/** Layers with shapes of their own, where any of them differs from another. */
export function unevenLayers(
  layers: readonly LayerConfig[],
  common: LayerShape & { readonly experts: ExpertsConfig | null },
  by: {
    readonly heads: UnevenHeads["each"];
    readonly neurons: NeuronLayers["each"];
    /** Null: the model has no experts. */
    readonly mixtures: readonly (LayerMixture | null)[] | null;
  },
): readonly LayerConfig[] {
  const { experts, feedForwardLength } = common;
  const neurons = experts === null ? by.neurons : null;
  const hasAsMany = neurons?.every((count) => count === 0 || count === feedForwardLength) ?? true;
  const mixesAlike =
    by.mixtures?.every((each) =>
      each === null || each.usedCount === experts!.usedCount &&
        each.feedForwardLength === experts!.feedForwardLength
    ) ?? true;
  if (by.heads === null && hasAsMany && mixesAlike) return layers;
  return layers.map((layer, index) => {
    const [headCount, headCountKv] = by.heads?.[index] ?? [0, 0];
    const mixture = by.mixtures?.[index] ?? null;
    return {
      ...layer,
      shape: {
        ...common,
        ...headCountKv > 0 && { headCount, headCountKv },
        feedForwardLength: neurons?.[index] || feedForwardLength,
        experts: experts && { ...experts, ...mixture },
      },
    };
  });
}

/** A number for all blocks, or a list with one for each, 0 or more. */
function numbersOf(keys: Hyperparameters, key: string, blockCount: number): readonly number[] {
  const said = keys.value(key);
  if (typeof said !== "object") return Array(blockCount).fill(keys.integer(key, { min: 0 }));
  const numbers = Array.from(said as ArrayLike<unknown>, Number);
  const areCounts = numbers.every((each) => Number.isInteger(each) && each >= 0);
  if (isListFor(keys, numbers.length, blockCount) && areCounts) return numbers.slice(0, blockCount);
  throw keys.wrong(key, `a number, or one for each of ${blockCount} blocks, all 0 or more`);
}
