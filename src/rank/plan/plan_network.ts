/**
 * A network of convolutions that makes rows of a picture, in a plan: which channels between two
 * matrices, and which heads, a rank has, and where planes lie. Knows nothing of layers.
 */
import { alignUp } from "../../base/check.ts";
import { FLOAT_ROW_PAD_WEIGHTS } from "../../memory/row_layout.ts";
import {
  type AskingBlock,
  type AskingTensors,
  type DepthwiseTensors,
  type InvertedBlock,
  type InvertedTensors,
  keptLength,
  type NetworkConfig,
  type NetworkTensors,
  planeSides,
} from "../../model/network.ts";
import type { ModelDescription, VectorTensor } from "../../model/types.ts";
import { kvBytes, tableBlocks } from "./kv_bytes.ts";
import type { Placer } from "./plan_layer.ts";
import { norm, type NormPlan } from "./plan_norm.ts";
import type { MatrixPlan, VectorPlan } from "./plan_types.ts";
import type { KernelSizes } from "./plan_workspace.ts";
import { RegionPlaces } from "./region_places.ts";
import { cut, lengthOf, type Range, scale } from "./shard.ts";

/** Channels that a rank has are whole groups of so many, which products make at a time. */
const CHANNEL_UNIT = 16;
/** Floats from one place of a plane to the next are multiples of so many. */
const PLACE_UNIT = FLOAT_ROW_PAD_WEIGHTS;
/** Windows that are laid side by side at a time: products of as many are the fast ones. */
export const WINDOW_ROWS = 128;
/** Of the first convolution: 3 · 3 places of three colours. */
const PIXEL_COLUMNS = 27;
/** Queries that attend at once: more would leave the cache while they pass the keys. */
export const NETWORK_QUERIES = 64;

/** A rank's share: of each block, and of what is behind them, own channels or heads. */
export interface NetworkShare {
  readonly config: NetworkConfig;
  readonly tensors: NetworkTensors;
  /** Channels between a block's matrices, or heads. */
  readonly own: readonly Range[];
  readonly fused: Range;
}

export interface DepthwisePlan {
  readonly kernels: VectorPlan;
  readonly norm: NormPlan;
}

export interface InvertedPlan {
  readonly start: DepthwisePlan | null;
  /** Own rows, and own columns; so their norms. */
  readonly first: MatrixPlan;
  readonly firstNorm: NormPlan;
  readonly mid: DepthwisePlan | null;
  readonly second: MatrixPlan;
  readonly secondNorm: NormPlan;
  readonly gains: VectorPlan | null;
}

export interface AskingPlan {
  readonly norm: NormPlan;
  /** Own heads' rows. */
  readonly query: MatrixPlan;
  /** Whole: all heads share them. */
  readonly key: { readonly down: DepthwisePlan | null; readonly matrix: MatrixPlan };
  readonly value: AskingPlan["key"];
  /** Own heads' columns. */
  readonly output: MatrixPlan;
  readonly gains: VectorPlan | null;
}

export interface NetworkPlan {
  readonly stem: MatrixPlan;
  readonly stemNorm: NormPlan;
  readonly blocks: readonly (InvertedPlan | AskingPlan)[];
  readonly fusion: InvertedPlan;
  readonly lastNorm: NormPlan;
  readonly places: NetworkPlaces;
}

/** Of a step: bytes behind where the region, or that of sums, begins; lengths in floats. */
export interface NetworkPlaces {
  /** Planes of all channels, in turns; the first one has what the first convolution makes. */
  readonly planes: readonly [number, number];
  /** What goes on beside the last block's outcome. */
  readonly kept: number;
  /** Own channels behind the first matrix, or own queries; and behind what is in the middle. */
  readonly hidden: number;
  readonly mid: number;
  /** What keys, or values, are made of; themselves, as they are made and as they are read. */
  readonly down: number;
  readonly rows: number;
  readonly keyBlocks: number;
  readonly valueBlocks: number;
  readonly table: number;
  readonly scratch: number;
  /** [WINDOW_ROWS, columns] side by side, or rows of another rank's. */
  readonly windows: number;
  /** [places] */
  readonly factors: number;
  readonly floats: Readonly<
    & Record<"hidden" | "mid" | "down" | "rows" | "windows" | "factors" | "kept", number>
    & { planes: readonly [number, number]; blocks: number }
  >;
  /** In turns: sums of squares [places], then sums of products [places, channels]. */
  readonly squares: number;
  readonly sums: number;
}

/** Null: the model has no such network. */
export function networkShare(
  { config: { patches }, tensors: { network: tensors } }: ModelDescription,
  { rankIndex: part, rankCount: parts }: { readonly rankIndex: number; readonly rankCount: number },
): NetworkShare | null {
  const config = patches?.network;
  if (config === undefined || tensors === undefined) return null;
  const channels = ({ hidden }: InvertedBlock) => cut(hidden, { parts, part, unit: CHANNEL_UNIT });
  return {
    ...{ config, tensors, fused: channels(config.fusion) },
    own: config.blocks.map((block) =>
      block.kind === "inverted" ? channels(block) : cut(block.headCount, { parts, part, unit: 1 })
    ),
  };
}

export function planNetwork(
  place: Placer,
  share: NetworkShare,
  sizes: KernelSizes,
): NetworkPlan {
  const { config: { blocks }, tensors, own } = share;
  return {
    stem: place.matrix(tensors.stem, {}),
    stemNorm: norm(place, tensors.stemNorm),
    blocks: blocks.map((block, i) =>
      block.kind === "inverted"
        ? planInverted(place, block, tensors.blocks[i] as InvertedTensors, own[i])
        : planAsking(place, block, tensors.blocks[i] as AskingTensors, own[i])
    ),
    fusion: planInverted(place, share.config.fusion, tensors.fusion, share.fused),
    lastNorm: norm(place, tensors.lastNorm),
    places: layOut(share, sizes).places,
  };
}

/** What it takes of a step's workspace. */
export function networkBytes(share: NetworkShare | null, sizes: KernelSizes) {
  if (share === null) return {};
  const { bytes, places } = layOut(share, sizes);
  // In turns, so that others may still read one while the other is written.
  return { convolved: bytes, "windows.sums": 2 * 4 * (places.squares + places.sums) };
}

/** From one place of a plane to the next. */
export function placeStride(channels: number): number {
  return alignUp(channels, PLACE_UNIT);
}

/** Matrices and vectors, in the order of the file. */
export function networkPieces({ stem, stemNorm, blocks, fusion, lastNorm }: NetworkPlan): {
  readonly matrices: readonly MatrixPlan[];
  readonly vectors: readonly (VectorPlan | null)[];
} {
  const all = [...blocks, fusion];
  const depthwise = (each: DepthwisePlan | null) => each ? [each.kernels, each.norm.weight] : [];
  return {
    matrices: [
      stem,
      ...all.flatMap((block) =>
        "first" in block
          ? [block.first, block.second]
          : [block.query, block.key.matrix, block.value.matrix, block.output]
      ),
    ],
    vectors: [
      ...[stemNorm.weight, lastNorm.weight],
      ...all.flatMap((block) =>
        "first" in block
          ? [
            ...depthwise(block.start),
            ...depthwise(block.mid),
            ...[block.firstNorm.weight, block.secondNorm.weight, block.gains],
          ]
          : [
            ...depthwise(block.key.down),
            ...depthwise(block.value.down),
            ...[block.norm.weight, block.gains],
          ]
      ),
    ],
  };
}

function planInverted(
  place: Placer,
  { startSide, midSide }: InvertedBlock,
  { start, first, firstNorm, mid, second, secondNorm, gains }: InvertedTensors,
  own: Range,
): InvertedPlan {
  return {
    start: start && planDepthwise(place, start, startSide, null),
    first: place.matrix(first, { rows: own }),
    firstNorm: { weight: place.vector(firstNorm.weight!, own), bias: null },
    mid: mid && planDepthwise(place, mid, midSide, own),
    second: place.matrix(second, { columns: own }),
    secondNorm: norm(place, secondNorm),
    gains: gains && place.vector(gains),
  };
}

/** own: null: all channels. */
function planDepthwise(
  place: Placer,
  { kernels, norm: { weight } }: DepthwiseTensors,
  side: number,
  own: Range | null,
): DepthwisePlan {
  const part = (vector: VectorTensor, each: number) =>
    place.vector(vector, own === null ? undefined : scale(own, each));
  return { kernels: part(kernels, side * side), norm: { weight: part(weight!, 1), bias: null } };
}

function planAsking(
  place: Placer,
  { headDim, keySide }: AskingBlock,
  { norm: own, query, key, value, output, gains }: AskingTensors,
  heads: Range,
): AskingPlan {
  const rows = scale(heads, headDim);
  const shared = ({ down, matrix }: AskingTensors["key"]) => ({
    down: down && planDepthwise(place, down, keySide, null),
    matrix: place.matrix(matrix, {}),
  });
  return {
    norm: norm(place, own),
    query: place.matrix(query, { rows }),
    ...{ key: shared(key), value: shared(value) },
    output: place.matrix(output, { columns: rows }),
    gains: gains && place.vector(gains),
  };
}

/** One part behind the other. */
function layOut(
  share: NetworkShare,
  sizes: KernelSizes,
): { readonly places: NetworkPlaces; readonly bytes: number } {
  const most = mostOf(share);
  const region = new RegionPlaces(), { take } = region;
  // Products read whole steps of columns: the last row's are behind it.
  const floats = (count: number) => take(4 * (count + FLOAT_ROW_PAD_WEIGHTS));
  const { headDim, keys, heads } = most;
  const kept = kvBytes("f32", {
    ...{ kvHeads: 1, blocks: tableBlocks(keys) },
    config: { headDim, valueDim: headDim, latent: null },
  });
  const places: NetworkPlaces = {
    planes: [floats(most.planes[0]), floats(most.planes[1])],
    ...{ kept: floats(most.kept), hidden: floats(most.hidden), mid: floats(most.mid) },
    ...{ down: floats(most.down), rows: floats(most.rows) },
    ...{ keyBlocks: take(kept.keysBytes), valueBlocks: take(kept.valuesBytes) },
    table: take(4 * tableBlocks(keys)),
    scratch: take(sizes.attention_scratch_bytes(NETWORK_QUERIES, heads, heads, headDim)),
    ...{ windows: floats(most.windows), factors: floats(most.factors) },
    floats: { ...most, blocks: tableBlocks(keys) },
    ...{ squares: alignUp(most.factors, PLACE_UNIT), sums: most.sums },
  };
  return { places, bytes: region.bytes };
}

/** Floats of a block, and of attention keys, heads and numbers of one. */
type Needs = Readonly<
  Record<
    | ("whole" | "hidden" | "mid" | "down" | "rows" | "windows" | "factors" | "sums")
    | ("keys" | "heads" | "headDim"),
    number
  >
>;

/** Of no block. */
const NEEDS: Needs = {
  ...{ whole: 0, hidden: 0, mid: 0, down: 0, rows: 0, windows: 0, factors: 0, sums: 0 },
  ...{ keys: 0, heads: 1, headDim: 4 },
};

/** The most of each in one block. */
function mostOf({ config, own, fused }: NetworkShare) {
  const sides = planeSides(config);
  const { blocks, channels, fusion, kept } = config;
  const keptSide = sides[kept + 1];
  const all = [
    ...blocks.map((block, i) => {
      const of = { from: sides[i], to: sides[i + 1], own: lengthOf(own[i]) };
      return block.kind === "inverted" ? needsOfInverted(block, of) : needsOfAsking(block, of);
    }),
    needsOfInverted(fusion, { from: keptSide, to: keptSide, own: lengthOf(fused) }),
  ];
  const most = (key: keyof Needs) => Math.max(NEEDS[key], ...all.map((each) => each[key]));
  const { whole, windows, ...needs } = Object.fromEntries(
    Object.keys(NEEDS).map((key) => [key, most(key as keyof Needs)]),
  ) as unknown as Needs;
  const stem = planeFloats(sides[0], channels), both = planeFloats(keptSide, fusion.channels);
  const others = Math.max(whole, both);
  return {
    ...needs,
    planes: [Math.max(stem, others), others] as const,
    kept: both,
    windows: Math.max(windows, WINDOW_ROWS * PIXEL_COLUMNS),
  };
}

/** Where a block is: sides of what goes in and of what comes out, and own channels or heads. */
type Place = Readonly<Record<"from" | "to" | "own", number>>;

function needsOfInverted(
  { startSide, side, midSide, channels, outputs }: InvertedBlock,
  { from, to, own }: Place,
): Needs {
  const between = side > 1 ? to : from;
  return {
    ...NEEDS,
    // What goes in is what the block before leaves.
    whole: Math.max(startSide > 0 ? planeFloats(from, channels) : 0, planeFloats(to, outputs)),
    hidden: planeFloats(between, own),
    mid: midSide > 0 ? planeFloats(to, own) : 0,
    windows: Math.max(side > 1 ? WINDOW_ROWS * side * side * channels : 0, placeStride(outputs)),
    factors: between * between,
    sums: planeFloats(to, outputs),
  };
}

function needsOfAsking(
  { channels, headDim, keySide }: AskingBlock,
  { from, own: heads }: Place,
): Needs {
  const keySideLength = keptLength(from, keySide > 0 ? 2 : 1);
  const width = heads * headDim, keys = keySideLength ** 2, whole = planeFloats(from, channels);
  return {
    ...{ ...NEEDS, whole, sums: whole, windows: placeStride(channels) },
    ...{ hidden: from * from * width, mid: planeFloats(from, width) },
    down: keySide > 0 ? planeFloats(keySideLength, channels) : 0,
    ...{ rows: keys * headDim, keys, heads: Math.max(1, heads), headDim },
  };
}

function planeFloats(side: number, channels: number): number {
  return side * side * placeStride(channels);
}
