/**
 * A tower's projector in a plan: which part of its matrices a rank has, and what lies between them.
 * Knows nothing of layers.
 */
import { alignUp, check } from "../../base/check.ts";
import { FLOAT_ROW_PAD_WEIGHTS, SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import type {
  MatrixTensor,
  ModelDescription,
  NormTensors,
  ProjectorConfig,
  ProjectorTensors,
} from "../../model/types.ts";
import { projectedRows } from "../../model/projected_rows.ts";
import type { SubsamplingConfig } from "../../model/conformer_types.ts";
import type { StageTensors } from "../../model/vision_types.ts";
import type { PlaneConfig } from "../../model/plane.ts";
import { subsamplingBytes } from "./plan_conformer.ts";
import { type ChannelsPlan, planChannels } from "./plan_channels.ts";
import type { Placer } from "./plan_layer.ts";
import {
  convolutionsBytes,
  type ConvolutionsPlan,
  type ConvolutionsShare,
  planConvolutions,
} from "./plan_convolutions.ts";
import { norm } from "./plan_norm.ts";
import { networkBytes, type NetworkShare, networkShare } from "./plan_network.ts";
import { convolutionBytes, planeBytes } from "./plane_bytes.ts";
import {
  planResampler,
  resamplerBytes,
  type ResamplerPlan,
  type ResamplerShare,
  resamplerShare,
} from "./plan_resampler.ts";
import type { MatrixPlan, NormPlan, VectorPlan, WorkspacePlan } from "./plan_types.ts";
import type { KernelSizes } from "./plan_workspace.ts";
import { cut, lengthOf, type Range } from "./shard.ts";
import {
  type LayerQueriesPlan,
  type LayerQueriesShare,
  layerQueriesShares,
  planLayerQueries,
  planWindowQueries,
  windowQueriesBytes,
  type WindowQueriesPlan,
  type WindowQueriesShare,
  windowQueriesShare,
} from "./plan_window_queries.ts";
import type { LastingTensor, StepGraphInput, StepTensor } from "./step_graph.ts";

/** Columns of rows are cut where products may begin to read them. */
const COLUMN_UNIT = 4;

/** A rank's share. */
export interface ProjectorShare {
  readonly last: ProjectionShare;
  /** Of layers' outcomes. */
  readonly deep: readonly ProjectionShare[];
  /** As `ProjectorConfig.fold`; null: no layer has fewer rows than the one before it. */
  readonly fold: ProjectionShare | null;
  /** Null: rows are merged. */
  readonly resampler: ResamplerShare | null;
  readonly windowQueries: WindowQueriesShare | null;
  readonly layerQueries: readonly LayerQueriesShare[];
  readonly convolutions: ConvolutionsShare | null;
  /** Most rows of a step that come out. */
  readonly rowsMax: number;
  /** Numbers of a row that comes out, and of a patch. */
  readonly outputLength: number;
  readonly patchLength: number;
  /** Numbers of a row of what two convolutions have between them; 0: there are no two. */
  readonly convolvedLength: number;
  /** Null: no convolutions are over a plane. */
  readonly plane: PlaneConfig | null;
  /** Null: no frames of a sound are made fewer. */
  readonly subsampling: SubsamplingConfig | null;
  /** Null: no network makes rows of patches. */
  readonly network: NetworkShare | null;
  /** From one row to the next of what the matrices read. */
  readonly mergedStride: number;
  readonly hiddenStride: number;
  /** Numbers of the longest row that is read; merged ones are made longer or shorter by stages. */
  readonly widest: number;
  readonly hasStages: boolean;
  /** Of what rows go through before they are merged, the longest row; 0: nothing. */
  readonly rowLength: number;
  /** Most rows of a step that go in. */
  readonly chunkTokens: number;
  readonly hasGate: boolean;
}

/** Two matrices, or one, and what of them is the rank's. */
export interface ProjectionShare {
  readonly norm: NormTensors | null;
  readonly first: MatrixTensor;
  readonly isFirstTransposed?: boolean;
  readonly gate?: MatrixTensor;
  readonly second: MatrixTensor | null;
  readonly hiddenNorm?: NormTensors;
  readonly frame?: ProjectorTensors["frame"];
  readonly channels?: ProjectorTensors["channels"];
  /** Columns of a single one that there are inputs for; left out: all. */
  readonly columns?: Range;
  /** Neurons between two matrices; of a single one rows, or, of columns or transposed, columns. */
  readonly own: Range;
}

export interface ProjectionPlan {
  readonly norm: NormPlan | null;
  readonly first: MatrixPlan;
  readonly gate: MatrixPlan | null;
  readonly second: MatrixPlan | null;
  /** Null: no norm is of neurons, or they are another rank's. */
  readonly hiddenNorm: NormPlan | null;
  /** Null: there is none, or it is another rank's. */
  readonly frame: FramePlan | null;
  /** Of own rows of a single matrix; null: there are none. */
  readonly channels: ChannelsPlan | null;
  /** Left out: it is cut by rows, or transposed. */
  readonly columns?: Range;
  readonly own: Range;
}

/** As `ProjectorTensors.frame`. */
export interface FramePlan {
  readonly lineEnd: VectorPlan;
  readonly begin: VectorPlan;
  readonly end: VectorPlan;
  readonly norm: NormPlan;
}

export interface ProjectorPlan {
  /** Whole on every rank: all need all that they give. Of rows before they are merged. */
  readonly rowStages: ProjectorPlan["stages"];
  readonly rowStride: number;
  /** The same of merged rows. */
  readonly stages: readonly { readonly matrix: MatrixPlan; readonly norm: NormPlan | null }[];
  /** As `ProjectorTensors.standard`, whole as well; null: there is none. */
  readonly standard: { readonly mean: VectorPlan; readonly gains: VectorPlan } | null;
  /** Null: rows are merged. */
  readonly resampler: ResamplerPlan | null;
  readonly windowQueries: WindowQueriesPlan | null;
  readonly layerQueries: readonly LayerQueriesPlan[];
  readonly convolutions: ConvolutionsPlan | null;
  /** As `ProjectorConfig.fold`; null: there is none. */
  readonly fold: ProjectionPlan | null;
  readonly last: ProjectionPlan;
  readonly deep: readonly ProjectionPlan[];
  readonly mergedStride: number;
  readonly hiddenStride: number;
}

/** Where a projector's rows are: what it reads, side by side, and what its neurons give. */
export interface ProjectorWorkspace {
  /** [rows, mergedStride], and as q8 tiles. */
  readonly merged: number;
  readonly mergedQ8: number;
  /** [rows, hiddenStride], and as q8 tiles. */
  readonly hidden: number;
  readonly hiddenQ8: number;
  /** [tokens, rowStride]: what rows become before they are merged, in turns; and q8 tiles. */
  readonly rows: readonly [number, number];
  readonly rowsQ8: number;
  /** [rows, mergedStride]: what stages leave, in turns with `merged`. */
  readonly staged: number;
  /** [rows, hiddenStride]. */
  readonly gate: number;
  /** What a resampler has: `ResamplerPlaces`. */
  readonly resampler: number;
  /** What queries of windows have: `WindowQueriesPlaces`. */
  readonly windows: number;
  /** [2, queries, stride]: what own heads and neurons of them give, in turns. */
  readonly windowSums: number;
  /** What convolutions have: `ConvolutionPlaces`. */
  readonly grid: number;
  /** [queries, stride]: what own heads of it give; others read it until the step ends. */
  readonly sums: number;
}

/** blockOf: how finely columns of a matrix may be cut. Null: the model is no tower. */
export function projectorShare(
  model: ModelDescription,
  of: {
    readonly rankIndex: number;
    readonly rankCount: number;
    readonly chunkTokens: number;
    readonly blockOf: (matrix: MatrixTensor) => number;
  },
): ProjectorShare | null {
  const { config, tensors } = model;
  const { rankIndex: part, rankCount: parts, chunkTokens, blockOf } = of;
  const { patches, projector } = config;
  if (projector === undefined || patches === undefined) return null;
  const { stages = [], standard: _, resampler: _queries, convolutions: kernels, ...its } = tensors
    .projector!;
  const whole = { start: 0, end: part === 0 ? its.fold?.first.rows ?? 0 : 0 };
  const { layerQueries: _asked, ...rest } = its;
  const { deep = [], fold: folding, rowStages = [], windowQueries: _of, ...last } = rest;
  const rowLengths = rowStages.map(({ matrix: { rows } }) => rows);
  const shareOf = (of: Omit<ProjectionShare, "own">): ProjectionShare => {
    const { first: { rows }, second, hiddenNorm, frame } = of;
    // A norm of all neurons, or rows, wants them on one rank: they are few beside the tower's.
    if (hiddenNorm ?? frame) return { ...of, own: { start: 0, end: part === 0 ? rows : 0 } };
    const { columns } = of;
    if (columns !== undefined) {
      const unit = Math.max(COLUMN_UNIT, blockOf(of.first));
      const { start, end } = cut(lengthOf(columns), { parts, part, unit });
      return { ...of, own: { start: columns.start + start, end: columns.start + end } };
    }
    return { ...of, own: cut(rows, { parts, part, unit: second === null ? 1 : blockOf(second) }) };
  };
  const all: Omit<ProjectionShare, "own">[] = [{ ...last, columns: projector.columns }, ...deep];
  const shares = all.map(shareOf);
  const { mergedRows, merge, outputLength, fold: folded } = projector;
  const fold = folding === undefined
    ? null
    : folded?.softens
    ? { ...folding, own: whole }
    : shareOf(folding);
  const resampler = resamplerShare(model, of);
  const asking = projector.resampler ?? projector.windowQueries ?? projector.layerQueries?.[0];
  const mergedLength = asking?.width ?? kernels?.at(-1)?.matrix.rows ??
    (rowLengths.at(-1) ?? config.embeddingLength) * (merge === "mean" ? 1 : mergedRows);
  const foldedLength = config.embeddingLength * (folded?.rows ?? 0);
  const widest = Math.max(
    mergedLength,
    foldedLength,
    ...stages.map(({ matrix: { rows } }) => rows),
  );
  const between = [...shares, ...fold === null ? [] : [fold]].map(neuronsOf);
  return {
    ...{ widest, hasStages: stages.length > 0, hasGate: last.gate !== undefined },
    ...{ rowLength: Math.max(0, ...rowLengths), chunkTokens },
    ...{ last: shares[0], deep: shares.slice(1), fold, resampler },
    ...{
      windowQueries: windowQueriesShare(model, of),
      layerQueries: layerQueriesShares(model, of),
    },
    convolutions: kernels === undefined
      ? null
      : { config: projector.convolutions!, tensors: kernels, rowsMax: chunkTokens },
    rowsMax: mostRows(chunkTokens, projector),
    ...{ outputLength, patchLength: patches.length },
    convolvedLength: patches.areConvolved ? config.embeddingLength : 0,
    ...{ plane: patches.plane ?? null, subsampling: patches.subsampling ?? null },
    network: networkShare(model, of),
    mergedStride: alignUp(widest, SUPERBLOCK_WEIGHTS),
    hiddenStride: alignUp(Math.max(...between), SUPERBLOCK_WEIGHTS),
  };
}

/** Rows that come out of so many; the last ones may make no whole one. */
function mostRows(chunkTokens: number, projector: ProjectorConfig): number {
  const { mergedRows, pooledRows = 1, fold } = projector;
  const whole = mergedRows * pooledRows * (fold?.rows ?? 1);
  return projectedRows(projector, chunkTokens) ??
    projectedRows(projector, chunkTokens - chunkTokens % whole)!;
}

/** From one row to the next of what rows become before they are merged. */
function rowStride({ rowLength }: ProjectorShare): number {
  return alignUp(rowLength, SUPERBLOCK_WEIGHTS);
}

function neuronsOf({ own, second }: ProjectionShare): number {
  return second === null ? 0 : lengthOf(own);
}

/** adds: the rank is the one that adds the bias of what comes out. */
export function planProjector(
  place: Placer,
  { tensors: { projector } }: ModelDescription,
  share: ProjectorShare,
  { adds, sizes }: { readonly adds: boolean; readonly sizes: KernelSizes },
): ProjectorPlan {
  const { stages = [], rowStages = [], standard } = projector!;
  const { last, deep, fold, resampler, convolutions, mergedStride, hiddenStride } = share;
  const { windowQueries, layerQueries } = share;
  const stagesOf = (stages: readonly StageTensors[]) =>
    stages.map(({ matrix, norm: own }) => ({
      matrix: place.matrix(matrix, {}),
      norm: norm(place, own),
    }));
  return {
    standard: standard
      ? { mean: place.vector(standard.mean), gains: place.vector(standard.gains) }
      : null,
    rowStages: stagesOf(rowStages),
    rowStride: rowStride(share),
    stages: stagesOf(stages),
    resampler: resampler && planResampler(place, resampler, { adds, sizes }),
    windowQueries: windowQueries && planWindowQueries(place, windowQueries, { adds, sizes }),
    layerQueries: layerQueries.map((each) => planLayerQueries(place, each, { adds, sizes })),
    convolutions: convolutions && planConvolutions(place, convolutions, sizes),
    fold: fold && planProjection(place, fold, adds),
    last: planProjection(place, last, adds),
    deep: deep.map((share) => planProjection(place, share, adds)),
    ...{ mergedStride, hiddenStride },
  };
}

function planProjection(place: Placer, share: ProjectionShare, adds: boolean): ProjectionPlan {
  const { first, gate, hiddenNorm, frame, second, own, isFirstTransposed: isTransposed } = share;
  const { columns, channels } = share;
  check(!isTransposed || second === null, "of two matrices none is transposed");
  return {
    norm: norm(place, share.norm),
    first: isTransposed
      ? place.matrix(transposed(first), { columns: own, isTransposed, takesBias: adds })
      : columns
      ? place.matrix(first, { columns: own, takesBias: adds })
      : place.matrix(first, { rows: own }),
    ...columns && { columns },
    gate: gate ? place.matrix(gate, { rows: own }) : null,
    second: second && place.matrix(second, { columns: own, takesBias: adds }),
    hiddenNorm: lengthOf(own) > 0 ? norm(place, hiddenNorm ?? null) : null,
    frame: frame && lengthOf(own) > 0
      ? {
        lineEnd: place.vector(frame.lineEnd),
        begin: place.vector(frame.begin),
        end: place.vector(frame.end),
        norm: norm(place, frame.norm),
      }
      : null,
    channels: channels && lengthOf(own) > 0 ? planChannels(place, channels, own) : null,
    own,
  };
}

/** As it is defined, where tensors are as the file has them. */
function transposed({ rows, columns, ...matrix }: MatrixTensor): MatrixTensor {
  return { ...matrix, rows: columns, columns: rows };
}

/** Of what a GPU computes only what comes out lies in an arena. */
export function onDevice(share: ProjectorShare): ProjectorShare {
  return {
    ...share,
    ...{ resampler: null, windowQueries: null, layerQueries: [], convolutions: null, rowLength: 0 },
    mergedStride: 1,
    hiddenStride: 1,
    ...{ patchLength: 0, plane: null, subsampling: null, network: null },
  };
}

/** What a tower's steps take more, and what comes out of them in the place of logits. */
export function projectorBytes(
  share: ProjectorShare | null,
  { strides, chunkTokens, sizes }: {
    readonly strides: { readonly logits: number };
    readonly chunkTokens: number;
    readonly sizes: KernelSizes;
  },
): Partial<StepGraphInput["bytes"]> {
  if (share === null) return {};
  const { rowsMax, widest, mergedStride, hiddenStride, patchLength, convolvedLength } = share;
  return {
    // Products read whole steps of columns: the last row's are behind it.
    patches: (chunkTokens * patchLength + FLOAT_ROW_PAD_WEIGHTS) * 4,
    ...convolvedLength > 0 && convolutionBytes(chunkTokens, convolvedLength),
    ...share.plane && planeBytes(share.plane, sizes),
    ...share.subsampling && subsamplingBytes(share.subsampling, sizes),
    ...networkBytes(share.network, sizes),
    "projector.merged": rowsMax * mergedStride * 4,
    "projector.q8": sizes.q8_bytes(rowsMax, widest),
    "projector.hidden": rowsMax * hiddenStride * 4,
    "projector.hidden.q8": sizes.q8_bytes(rowsMax, Math.max(1, hiddenStride)),
    ...share.hasStages && { "projector.staged": rowsMax * mergedStride * 4 },
    ...share.hasGate && { "projector.gate": rowsMax * hiddenStride * 4 },
    ...share.rowLength > 0 && {
      "projector.rows": 2 * chunkTokens * rowStride(share) * 4,
      "projector.rows.q8": sizes.q8_bytes(chunkTokens, rowStride(share)),
    },
    ...resamplerBytes(share.resampler, sizes),
    ...windowQueriesBytes([share.windowQueries ?? [], share.layerQueries].flat(), sizes),
    ...convolutionsBytes(share.convolutions, sizes),
    logits: rowsMax * strides.logits * 4,
  };
}

export function projectorWorkspace(
  share: ProjectorShare,
  at: (name: StepTensor | LastingTensor) => number,
): WorkspacePlan["projector"] {
  const rows = at("projector.rows");
  return {
    rows: [rows, rows + 4 * share.chunkTokens * rowStride(share)],
    rowsQ8: at("projector.rows.q8"),
    merged: at("projector.merged"),
    mergedQ8: at("projector.q8"),
    hidden: at("projector.hidden"),
    hiddenQ8: at("projector.hidden.q8"),
    ...{ staged: at("projector.staged"), gate: at("projector.gate") },
    ...{ resampler: at("projector.resampler"), sums: at("resampler.sums") },
    ...{ windows: at("projector.windows"), windowSums: at("windows.sums") },
    grid: at("projector.grid"),
  };
}
