/**
 * Layers that convolve over the last few tokens instead of attending: which of a model's layers do,
 * and their tensors. Knows keys, names and shapes; reads no weights.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { Family } from "../family.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import { type LayerReader, rowsOf } from "./layer_reader.ts";
import type { LayerConfig, LayerTensors } from "../types.ts";

const HEADS = "attention.head_count";
const KEY_VALUE_HEADS = "attention.head_count_kv";
const TAPS = "shortconv.l_cache";
/** More are no short convolution: what is kept of 32 positions would be all of them. */
const TAPS_MAX = 32;

/** The key/value heads of layers that attend, and which layers do. */
export interface KvHeads {
  readonly headCountKv: number;
  /** By layer; null: all do. */
  readonly attends: readonly boolean[] | null;
}

/**
 * A number, or in families whose layers do not all attend a list with a 0 for each that does not.
 * @throws {ModelFormatError} when it is out of range, or layers that attend differ.
 */
export function readKvHeads(
  keys: Hyperparameters,
  { mayConvolve, stateSpace }: Family,
  { headCount, blockCount }: { headCount: number; blockCount: number },
): KvHeads {
  const said = keys.value(KEY_VALUE_HEADS);
  if (!mayConvolve && stateSpace?.attention !== "instead" || typeof said !== "object") {
    const headCountKv = keys.integer(KEY_VALUE_HEADS, { min: 1, absent: headCount });
    return { headCountKv, attends: null };
  }
  const { count: headCountKv, has: attends } = listedCounts(keys, KEY_VALUE_HEADS, blockCount);
  return { headCountKv, attends };
}

/**
 * Query heads of layers that attend: a number, or of some models a list with a 0 for each layer
 * that has other things.
 * @throws {ModelFormatError} when it is no such list, or lists other layers than those with keys.
 */
export function readHeadCount(
  keys: Hyperparameters,
  { stateSpace }: Family,
  blockCount: number,
): number {
  if (stateSpace?.attention !== "instead" || typeof keys.value(HEADS) !== "object") {
    return keys.integer(HEADS, { min: 1 });
  }
  const { count, has } = listedCounts(keys, HEADS, blockCount);
  const { has: hasKeys } = listedCounts(keys, KEY_VALUE_HEADS, blockCount);
  if (has.some((attends, index) => attends !== hasKeys[index])) {
    throw keys.wrong(HEADS, `0 in the same blocks as "${KEY_VALUE_HEADS}"`);
  }
  return count;
}

/** A number that layers have in common, and which of them. */
function listedCounts(
  keys: Hyperparameters,
  key: string,
  blockCount: number,
): { readonly count: number; readonly has: readonly boolean[] } {
  const said = keys.value(key);
  const counts = typeof said === "object" ? Array.from(said as ArrayLike<unknown>, Number) : [];
  const count = counts.find((each) => each !== 0);
  const isEven = counts.every((each) => each === 0 || each === count);
  if (counts.length < blockCount || !isEven || !isCount(count)) {
    throw keys.wrong(
      key,
      `a number, or one for each of ${blockCount} blocks, which is 0 or the same everywhere`,
    );
  }
  return { count, has: counts.slice(0, blockCount).map((each) => each > 0) };
}

function isCount(value: number | undefined): value is number {
  return value !== undefined && Number.isInteger(value) && value > 0;
}

/** Layers as they are, or convolving over so many tokens. */
export function convolvingLayers(
  keys: Hyperparameters,
  layers: readonly LayerConfig[],
  by: {
    readonly attends: KvHeads["attends"];
    /** Width of all heads, and of the residual stream. */
    readonly headsWidth: number;
    readonly embeddingLength: number;
  },
): readonly LayerConfig[] {
  const { attends, headsWidth, embeddingLength } = by;
  if (attends === null) return layers;
  const taps = keys.integer(TAPS, { min: 2, max: TAPS_MAX });
  // Channels are shared out as heads are.
  if (headsWidth !== embeddingLength) {
    throw new UnsupportedModelError(
      `Cannot run this model: its layers convolve over ${embeddingLength} channels, its heads ` +
        `have ${headsWidth} together: this version needs them equal: use another model`,
    );
  }
  const convolves = { slidingWindow: 0, rope: null, convolutionTaps: taps };
  return layers.map((layer, index) => attends[index] ? layer : convolves);
}

/** What a layer has that convolves, in the places of what others have to attend. */
export function convolutionTensors(
  { checker, config, at }: LayerReader,
  taps: number,
): Pick<
  LayerTensors,
  | "query"
  | "key"
  | "value"
  | "attentionGate"
  | "queryNorm"
  | "keyNorm"
  | "valueNorm"
  | "latent"
  | "attentionSinks"
  | "attentionOutput"
  | "convolution"
> {
  const { embeddingLength: width } = config;
  const input = checker.matrix(`${at}shortconv.in_proj.weight`, {
    rows: 3 * width,
    columns: width,
  });
  return {
    key: rowsOf(input, 0, width),
    query: rowsOf(input, width, width),
    value: rowsOf(input, 2 * width, width),
    latent: null,
    attentionGate: null,
    queryNorm: null,
    keyNorm: null,
    valueNorm: null,
    attentionSinks: null,
    convolution: checker.vector(`${at}shortconv.conv.weight`, taps, width),
    attentionOutput: checker.matrix(`${at}shortconv.out_proj.weight`, {
      rows: width,
      columns: width,
    }),
  };
}
