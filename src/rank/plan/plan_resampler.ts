/**
 * Attention of learned queries to a tower's rows, in a plan: which heads of it a rank has, and
 * where all of it lies. Knows nothing of layers.
 */
import { alignUp } from "../../base/check.ts";
import { SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import type { MatrixTensor, ModelDescription } from "../../model/types.ts";
import type { ResamplerConfig, ResamplerTensors } from "../../model/resampler_types.ts";
import { kvBytes, tableBlocks } from "./kv_bytes.ts";
import type { Placer } from "./plan_layer.ts";
import { norm, type NormPlan } from "./plan_norm.ts";
import type { MatrixPlan, VectorPlan } from "./plan_types.ts";
import type { KernelSizes } from "./plan_workspace.ts";
import { RegionPlaces } from "./region_places.ts";
import { cut, lengthOf, type Range, wholeHeads } from "./shard.ts";
import type { StepGraphInput } from "./step_graph.ts";

/** Rows of a tower that keys and values are made of at a time: they stay in a core's cache. */
const ROWS_AT_ONCE = 128;

/** A rank's share. */
export interface ResamplerShare {
  readonly config: ResamplerConfig;
  readonly tensors: ResamplerTensors;
  /** Own heads. */
  readonly heads: Range;
  /** From one row to the next of what matrices read. */
  readonly stride: number;
  readonly ownStride: number;
  /** Most rows of a step. */
  readonly rowsMax: number;
}

export interface ResamplerPlan {
  readonly queries: VectorPlan;
  readonly queryNorm: NormPlan;
  /** Whole on every rank: a norm is of all that it gives. */
  readonly input: MatrixPlan;
  readonly inputNorm: NormPlan;
  /** Own heads' rows, and of the last one own heads' columns. */
  readonly query: MatrixPlan;
  readonly key: MatrixPlan;
  readonly value: MatrixPlan;
  readonly output: MatrixPlan;
  readonly headCount: number;
  readonly stride: number;
  readonly ownStride: number;
  readonly rowsAtOnce: number;
  /** Blocks of keys and values. */
  readonly blocks: number;
  /** Where parts of its region begin, bytes behind where the region does. */
  readonly at: ResamplerPlaces;
}

/** Of a step, [rows, stride] where nothing else is said. */
export interface ResamplerPlaces {
  /** Some of the tower's rows, made as long as queries; and as q8 tiles. */
  readonly rows: number;
  readonly rowsQ8: number;
  /** [rows, own width]: keys or values of them. */
  readonly made: number;
  /** Of all of them, as a layer's. */
  readonly keys: number;
  readonly values: number;
  /** u32 [blocks]. */
  readonly table: number;
  /** [queryCount, own width] */
  readonly query: number;
  /** [queryCount, ownStride], and as q8 tiles. */
  readonly mixed: number;
  readonly mixedQ8: number;
  readonly scratch: number;
}

/** Null: rows are merged. */
export function resamplerShare(
  { config: { projector }, tensors }: ModelDescription,
  { rankIndex: part, rankCount: parts, chunkTokens, blockOf }: {
    readonly rankIndex: number;
    readonly rankCount: number;
    readonly chunkTokens: number;
    readonly blockOf: (matrix: MatrixTensor) => number;
  },
): ResamplerShare | null {
  const config = projector?.resampler;
  const its = tensors.projector?.resampler;
  if (config === undefined || its === undefined) return null;
  const { width, headDim } = config;
  const unit = wholeHeads(headDim, blockOf(its.output));
  const heads = cut(width / headDim, { parts, part, unit });
  return {
    ...{ config, tensors: its, heads },
    stride: alignUp(width, SUPERBLOCK_WEIGHTS),
    ownStride: alignUp(Math.max(1, lengthOf(heads)) * headDim, SUPERBLOCK_WEIGHTS),
    rowsMax: chunkTokens,
  };
}

/** adds: the rank is the one that adds the bias of what comes out. */
export function planResampler(
  place: Placer,
  share: ResamplerShare,
  { adds, sizes }: { readonly adds: boolean; readonly sizes: KernelSizes },
): ResamplerPlan {
  const { tensors, heads, stride, ownStride, config: { headDim } } = share;
  const rows = { start: heads.start * headDim, end: heads.end * headDim };
  return {
    queries: place.vector(tensors.queries),
    queryNorm: norm(place, tensors.queryNorm),
    input: place.matrix(tensors.input, {}),
    inputNorm: norm(place, tensors.inputNorm),
    query: place.matrix(tensors.query, { rows }),
    key: place.matrix(tensors.key, { rows }),
    value: place.matrix(tensors.value, { rows }),
    output: place.matrix(tensors.output, { columns: rows, takesBias: adds }),
    headCount: lengthOf(heads),
    ...{ stride, ownStride, rowsAtOnce: rowsAtOnce(share), blocks: tableBlocks(share.rowsMax) },
    at: layOut(share, sizes).at,
  };
}

/** What it takes of a step's workspace. */
export function resamplerBytes(
  share: ResamplerShare | null,
  sizes: KernelSizes,
): Partial<StepGraphInput["bytes"]> {
  if (share === null) return {};
  const { stride, config: { queryCount } } = share;
  return {
    "projector.resampler": layOut(share, sizes).bytes,
    "resampler.sums": queryCount * stride * 4,
  };
}

function rowsAtOnce({ rowsMax, config: { queryCount } }: ResamplerShare): number {
  return Math.max(queryCount, Math.min(ROWS_AT_ONCE, rowsMax));
}

/** One part behind the other. */
function layOut(
  share: ResamplerShare,
  sizes: KernelSizes,
): { readonly at: ResamplerPlaces; readonly bytes: number } {
  const { config, heads, stride, ownStride, rowsMax } = share;
  const { headDim, queryCount } = config;
  const kvHeads = Math.max(1, lengthOf(heads));
  const own = kvHeads * headDim;
  const rows = rowsAtOnce(share);
  const blocks = tableBlocks(rowsMax);
  const lengths = { headDim, valueDim: headDim, latent: null };
  const { keysBytes, valuesBytes } = kvBytes("f32", { kvHeads, config: lengths, blocks });
  const region = new RegionPlaces(), { take } = region;
  const at = {
    rows: take(rows * stride * 4),
    rowsQ8: take(sizes.q8_bytes(rows, stride)),
    made: take(rows * own * 4),
    keys: take(keysBytes),
    values: take(valuesBytes),
    table: take(blocks * 4),
    query: take(queryCount * own * 4),
    mixed: take(queryCount * ownStride * 4),
    mixedQ8: take(sizes.q8_bytes(queryCount, ownStride)),
    scratch: take(sizes.attention_scratch_bytes(queryCount, kvHeads, 1, headDim)),
  };
  return { at, bytes: region.bytes };
}
