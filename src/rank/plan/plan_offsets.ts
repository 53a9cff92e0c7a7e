/**
 * Heads whose scores count how far a key is away in an image, in a plan: tables of that, and what
 * lies between queries and what they take. Knows no layers' shares.
 */
import { alignUp } from "../../base/check.ts";
import type { LayerTensors, ModelConfig } from "../../model/types.ts";
import { kvBytes, tableBlocks } from "./kv_bytes.ts";
import type { Placer } from "./plan_layer.ts";
import type { VectorPlan } from "./plan_types.ts";
import type { KernelSizes } from "./plan_workspace.ts";
import { RegionPlaces } from "./region_places.ts";

/** Queries that attend at once: more would leave the cache while they pass the keys. */
export const OFFSET_QUERIES = 64;
/** Longer keys are multiples of so many numbers. */
const KEY_UNIT = 4;

/** Whole on every rank, as `OffsetTensors`. */
export interface OffsetsPlan {
  readonly rows: VectorPlan;
  readonly columns: VectorPlan;
}

/** Of one head and one window, bytes behind where the region begins. */
export interface OffsetPlaces {
  /** f32 [keys, length]: keys, and where each is; then queries, and what they count of that. */
  readonly rows: number;
  readonly queries: number;
  /** f32 [keys, headDim], then what queries took. */
  readonly values: number;
  readonly mixed: number;
  /** As a layer keeps them. */
  readonly keyBlocks: number;
  readonly valueBlocks: number;
  /** u32 [blocks] */
  readonly table: number;
  readonly scratch: number;
}

export function planOffsets(
  place: Placer,
  { offsets }: Pick<LayerTensors, "offsets">,
): OffsetsPlan | null {
  if (offsets === undefined) return null;
  return { rows: place.vector(offsets.rows), columns: place.vector(offsets.columns) };
}

/** Most keys of a window, or of an image, and the length of one with its row and column. */
export function offsetSizes(
  { layers, headDim, contextLength }: ModelConfig,
): { readonly keys: number; readonly length: number } {
  const sides = layers.map(({ offsets }) => offsets?.side ?? 0);
  const keys = layers.map(({ offsets }) =>
    offsets === undefined ? 0 : offsets.areWindows ? offsets.side ** 2 : contextLength
  );
  return {
    keys: Math.max(0, ...keys),
    length: alignUp(headDim + 2 * Math.max(0, ...sides), KEY_UNIT),
  };
}

/** Where all of it lies, and what it takes; null: no layer has such heads. */
export function layOffsets(
  config: ModelConfig,
  sizes: KernelSizes,
): { readonly at: OffsetPlaces; readonly bytes: number } | null {
  const { keys, length } = offsetSizes(config);
  if (keys === 0) return null;
  const { headDim } = config;
  const blocks = tableBlocks(keys);
  const kept = (headDim: number, valueDim: number) =>
    kvBytes("f32", { kvHeads: 1, config: { headDim, valueDim, latent: null }, blocks });
  const { keysBytes, valuesBytes } = kept(length, headDim);
  const region = new RegionPlaces(), { take } = region;
  const at = {
    rows: take(4 * keys * length),
    queries: take(4 * keys * length),
    values: take(4 * keys * headDim),
    mixed: take(4 * keys * headDim),
    keyBlocks: take(keysBytes),
    valueBlocks: take(valuesBytes),
    table: take(4 * blocks),
    scratch: take(sizes.attention_scratch_bytes(OFFSET_QUERIES, 1, 1, length)),
  };
  return { at, bytes: region.bytes };
}
