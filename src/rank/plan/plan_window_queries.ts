/**
 * Learned queries of windows of a tower's rows, in a plan: which heads and neurons of them a rank
 * has, and where all of it lies. Knows nothing of layers.
 */
import { alignUp } from "../../base/check.ts";
import { FLOAT_ROW_PAD_WEIGHTS, SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import type { MatrixTensor, ModelDescription } from "../../model/types.ts";
import {
  type AskingTensors,
  type LayerQueriesConfig,
  type LayerQueriesTensors,
  windowedRows,
  type WindowQueriesConfig,
  type WindowQueriesTensors,
} from "../../model/window_queries.ts";
import type { Placer } from "./plan_layer.ts";
import { norm, type NormPlan } from "./plan_norm.ts";
import type { MatrixPlan } from "./plan_types.ts";
import type { KernelSizes } from "./plan_workspace.ts";
import { RegionPlaces } from "./region_places.ts";
import { cut, lengthOf, type Range, scale, wholeHeads } from "./shard.ts";

/** A rank's share. */
export interface WindowQueriesShare {
  readonly config: WindowQueriesConfig;
  readonly tensors: WindowQueriesTensors;
  /** Own heads, and of each block own neurons. */
  readonly heads: Range;
  readonly neurons: readonly Range[];
  /** Most rows of a step, and queries of them. */
  readonly rowsMax: number;
  readonly queriesMax: number;
}

/** The same of what a layer leaves. */
export interface LayerQueriesShare extends WindowQueriesShare {
  readonly config: LayerQueriesConfig;
  readonly tensors: LayerQueriesTensors;
}

/** Own heads' rows, and of the last one own heads' columns. */
export interface AskingPlan {
  readonly query: MatrixPlan;
  readonly key: MatrixPlan;
  readonly value: MatrixPlan;
  readonly output: MatrixPlan;
  readonly norm: NormPlan;
}

export interface WindowQueriesPlan {
  /** [queryCount, E], as floats, whole. */
  readonly queries: MatrixPlan;
  readonly queryNorm: NormPlan;
  readonly blocks: readonly {
    readonly own: AskingPlan;
    readonly window: AskingPlan;
    readonly first: MatrixPlan;
    readonly second: MatrixPlan;
    readonly norm: NormPlan;
  }[];
  readonly headCount: number;
  readonly rowsMax: number;
  readonly queriesMax: number;
  readonly places: WindowQueriesPlaces;
}

/** As `LayerQueriesTensors`, whole; positions as floats. */
export interface LayerQueriesPlan extends WindowQueriesPlan {
  readonly norm: NormPlan;
  readonly positions: MatrixPlan;
}

/** Of a step, bytes behind where its region begins. */
export interface WindowQueriesPlaces {
  /** From one row to the next: of queries, of what heads mix, of neurons. */
  readonly strides: Readonly<Record<"queries" | "mixed" | "hidden", number>>;
  /** [queriesMax, stride] each, and as q8 tiles. */
  readonly queries: number;
  readonly queriesQ8: number;
  readonly mixed: number;
  readonly mixedQ8: number;
  readonly hidden: number;
  readonly hiddenQ8: number;
  /** [queriesMax, own numbers], and [the most rows that are asked, own numbers] each. */
  readonly query: number;
  readonly key: number;
  readonly value: number;
}

interface CutBy {
  readonly rankIndex: number;
  readonly rankCount: number;
  readonly chunkTokens: number;
  readonly blockOf: (matrix: MatrixTensor) => number;
}

/** Null: rows are not asked by windows. */
export function windowQueriesShare(
  { config: { projector }, tensors }: ModelDescription,
  by: CutBy,
): WindowQueriesShare | null {
  const config = projector?.windowQueries;
  const its = tensors.projector?.windowQueries;
  return config === undefined || its === undefined ? null : shareOf(config, its, by);
}

/** Of what layers leave; none: nothing of that is asked. */
export function layerQueriesShares(
  { config: { projector }, tensors }: ModelDescription,
  by: CutBy,
): LayerQueriesShare[] {
  const all = tensors.projector?.layerQueries ?? [];
  return (projector?.layerQueries ?? []).map((config, i) => ({
    ...shareOf(config, all[i], by),
    ...{ config, tensors: all[i] },
  }));
}

function shareOf(
  config: WindowQueriesConfig,
  its: WindowQueriesTensors,
  { rankIndex: part, rankCount: parts, chunkTokens: rowsMax, blockOf }: CutBy,
): WindowQueriesShare {
  const { blocks } = its;
  const outputs = blocks.flatMap(({ own, window }) => [own.output, window.output]);
  // Whole heads whose columns are whole blocks.
  const unit = wholeHeads(config.headDim, Math.max(...outputs.map(blockOf)));
  return {
    ...{ config, tensors: its, rowsMax, queriesMax: windowedRows(config, rowsMax) },
    heads: cut(config.width / config.headDim, { parts, part, unit }),
    neurons: blocks.map(({ first: { rows }, second }) =>
      cut(rows, { parts, part, unit: blockOf(second) })
    ),
  };
}

/** adds: the rank is the one that adds biases of sums. */
export function planWindowQueries(
  place: Placer,
  share: WindowQueriesShare,
  { adds, sizes }: { readonly adds: boolean; readonly sizes: KernelSizes },
): WindowQueriesPlan {
  const { tensors, heads, neurons, rowsMax, queriesMax, config: { headDim } } = share;
  const rows = scale(heads, headDim);
  const asking = ({ query, key, value, output, norm: own }: AskingTensors): AskingPlan => ({
    query: place.matrix(query, { rows }),
    key: place.matrix(key, { rows }),
    value: place.matrix(value, { rows }),
    output: place.matrix(output, { columns: rows, takesBias: adds }),
    norm: norm(place, own),
  });
  return {
    queries: place.matrix(tensors.queries, { isWidened: true }),
    queryNorm: norm(place, tensors.queryNorm),
    blocks: tensors.blocks.map(({ own, window, first, second, norm: last }, i) => ({
      ...{ own: asking(own), window: asking(window) },
      first: place.matrix(first, { rows: neurons[i] }),
      second: place.matrix(second, { columns: neurons[i], takesBias: adds }),
      norm: norm(place, last),
    })),
    headCount: lengthOf(heads),
    ...{ rowsMax, queriesMax, places: layOut(share, sizes).places },
  };
}

/** The same of what a layer leaves. */
export function planLayerQueries(
  place: Placer,
  share: LayerQueriesShare,
  by: { readonly adds: boolean; readonly sizes: KernelSizes },
): LayerQueriesPlan {
  return {
    ...planWindowQueries(place, share, by),
    norm: norm(place, share.tensors.norm),
    positions: place.matrix(share.tensors.positions, { isWidened: true }),
  };
}

/** What they take of a step's workspace, one after the other; none: nothing. */
export function windowQueriesBytes(shares: readonly WindowQueriesShare[], sizes: KernelSizes) {
  if (shares.length === 0) return {};
  const all = shares.map((share) => layOut(share, sizes));
  const sums = shares.map(({ queriesMax }, i) => queriesMax * all[i].places.strides.queries);
  // In turns, so that others may still read one while the other is written.
  return {
    "projector.windows": Math.max(...all.map(({ bytes }) => bytes)),
    "windows.sums": 2 * Math.max(...sums) * 4,
  };
}

/** One part behind the other. */
function layOut(
  { config: { rows, queryCount, width, headDim }, heads, neurons, ...most }: WindowQueriesShare,
  sizes: KernelSizes,
): { readonly places: WindowQueriesPlaces; readonly bytes: number } {
  const { queriesMax: queries, rowsMax } = most;
  const own = Math.max(1, lengthOf(heads)) * headDim;
  const strides = {
    queries: alignUp(width, SUPERBLOCK_WEIGHTS),
    mixed: alignUp(own, SUPERBLOCK_WEIGHTS),
    hidden: alignUp(Math.max(1, ...neurons.map(lengthOf)), SUPERBLOCK_WEIGHTS),
  };
  const region = new RegionPlaces(), { take } = region;
  // Products read whole steps of columns: the last row's are behind it.
  const floats = (rows: number, length: number) =>
    take((rows * length + FLOAT_ROW_PAD_WEIGHTS) * 4);
  const q8 = (length: number) => take(sizes.q8_bytes(queries, length));
  // Those that the last window lacks are there, too.
  const asked = Math.ceil(rowsMax / rows) * Math.max(rows, queryCount);
  const places = {
    ...{ strides, queries: floats(queries, strides.queries), queriesQ8: q8(strides.queries) },
    ...{ mixed: floats(queries, strides.mixed), mixedQ8: q8(strides.mixed) },
    ...{ hidden: floats(queries, strides.hidden), hiddenQ8: q8(strides.hidden) },
    ...{ query: floats(queries, own), key: floats(asked, own), value: floats(asked, own) },
  };
  return { places, bytes: region.bytes };
}
