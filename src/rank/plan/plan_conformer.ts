/**
 * What conformers have in a plan: what a layer attends by and filters with, and what makes rows of
 * a spectrogram. Knows tensors and shards; lays nothing by itself.
 */
import { alignUp } from "../../base/check.ts";
import { FLOAT_ROW_PAD_WEIGHTS } from "../../memory/row_layout.ts";
import type { SubsamplingConfig } from "../../model/conformer_types.ts";
import { halved, KERNEL_SIDE } from "../../model/plane.ts";
import type { LayerTensors, ModelConfig, ModelTensors, VectorTensor } from "../../model/types.ts";
import { CONVOLVED_ROWS } from "./convolved_rows.ts";
import type { Placer } from "./plan_layer.ts";
import { norm } from "./plan_norm.ts";
import type { MatrixPlan, NormPlan, VectorPlan } from "./plan_types.ts";
import type { KernelSizes, WorkspaceInput } from "./plan_workspace.ts";
import { lengthOf, type Range, scale } from "./shard.ts";
import type { StepGraphInput } from "./step_graph.ts";

/** Own heads of a layer that attends by relative positions. */
export interface RelativePlan {
  readonly kind: "attends";
  readonly positions: MatrixPlan;
  /** [headDim], or null. */
  readonly queryGains: VectorPlan | null;
  readonly keyGains: VectorPlan | null;
  /** [own numbers], or null. */
  readonly keySum: VectorPlan | null;
  readonly positionSum: VectorPlan | null;
}

/** Own channels of a layer that filters. */
export interface FilterPlan {
  readonly kind: "filters";
  readonly taps: number;
  readonly tapsAhead: number;
  readonly isNormalized: boolean;
  /** [taps, own channels]. */
  readonly weights: VectorPlan;
  readonly bias: VectorPlan | null;
  readonly counted: { readonly mean: VectorPlan; readonly variance: VectorPlan } | null;
  readonly gains: VectorPlan;
  readonly sum: VectorPlan | null;
}

export type ConformerPlan = RelativePlan | FilterPlan;

/** As `SubsamplingTensors`, of the rank that leads. */
export interface SubsamplingPlan {
  readonly others: readonly (MatrixPlan | DepthwisePlan)[];
  readonly norms: readonly NormPlan[];
  readonly output: MatrixPlan;
}

/** As `DepthwiseTensors`; kernels are [9, channels]. */
export interface DepthwisePlan {
  readonly kernels: VectorPlan;
  readonly bias: VectorPlan;
  readonly mix: MatrixPlan;
}

/** own: numbers of own heads. */
export function planConformer(
  place: Placer,
  { relative, filter }: LayerTensors,
  { own, config }: { readonly own: Range; readonly config: Pick<ModelConfig, "relative"> },
): ConformerPlan | null {
  const each = (vector: VectorTensor | undefined, range?: Range) =>
    vector ? place.vector(vector, range) : null;
  if (relative !== undefined) {
    return {
      kind: "attends",
      // What is learned of distances is read as numbers.
      positions: place.matrix(
        relative.positions,
        config.relative?.waves === null ? { isWidened: true } : { rows: own },
      ),
      ...{ queryGains: each(relative.queryGains), keyGains: each(relative.keyGains) },
      ...{ keySum: each(relative.keySum, own), positionSum: each(relative.positionSum, own) },
    };
  }
  if (filter === undefined) return null;
  const { weights, bias, counted, gains, sum, tapsAhead, isNormalized } = filter;
  const taps = weights.length / gains.length;
  return {
    ...{ kind: "filters", taps, tapsAhead, isNormalized },
    weights: { ...place.vector(weights, scale(own, taps)), columns: taps },
    bias: each(bias, own),
    counted: counted
      ? { mean: place.vector(counted.mean, own), variance: place.vector(counted.variance, own) }
      : null,
    ...{ gains: place.vector(gains, own), sum: each(sum, own) },
  };
}

/** Null: the rank does not lead, or nothing makes frames fewer. rows: those of the first matrix. */
export function planSubsampling(
  place: Placer,
  { subsampling }: ModelTensors,
  rows: Range,
): SubsamplingPlan | null {
  if (subsampling === undefined || lengthOf(rows) === 0) return null;
  const { others, norms, output } = subsampling;
  return {
    others: others.map((each) =>
      "mix" in each
        ? {
          kernels: { ...place.vector(each.kernels), columns: KERNEL_SIDE ** 2 },
          ...{ bias: place.vector(each.bias), mix: place.matrix(each.mix, {}) },
        }
        : place.matrix(each, {})
    ),
    norms: norms.map((each) => norm(place, each)),
    output: place.matrix(output, {}),
  };
}

/** What loading reads of both. */
export function conformerPieces(plan: ConformerPlan | SubsamplingPlan): {
  readonly matrices: readonly MatrixPlan[];
  readonly vectors: readonly (VectorPlan | null)[];
} {
  if (!("kind" in plan)) {
    const norms = plan.norms.flatMap(({ weight, bias }) => [weight, bias]);
    const taps = plan.others.flatMap((each) => "mix" in each ? [each.kernels, each.bias] : []);
    const others = plan.others.map((each) => "mix" in each ? each.mix : each);
    return { matrices: [...others, plan.output], vectors: [...taps, ...norms] };
  }
  if (plan.kind === "filters") {
    const { weights, bias, counted, gains, sum } = plan;
    const { mean = null, variance = null } = counted ?? {};
    return { matrices: [], vectors: [weights, bias, mean, variance, gains, sum] };
  }
  const { positions, queryGains, keyGains, keySum, positionSum } = plan;
  return { matrices: [positions], vectors: [queryGains, keyGains, keySum, positionSum] };
}

/** Rows that convolutions make at a time: what is between them is small. */
export const SUBSAMPLED_ROWS = 8;
/** Floats that places of a plane are whole numbers of. */
const PLACE_UNIT = 16;

/** What a piece of a plane has between its convolutions, in floats. */
export interface SubsamplingSizes {
  /** Of what each convolution gives: from one place to the next, bands, and all of a piece. */
  readonly stages: readonly Readonly<Record<"stride" | "bands" | "floats", number>>[];
  /** Of what the first one gives, and every other one, in turns; and of the others. */
  readonly first: number;
  readonly second: number;
  /** Of windows side by side, or of what rows are made of. */
  readonly windows: number;
  /** Of what a row is made of. */
  readonly columns: number;
}

export function subsamplingSizes({ bands, channels }: SubsamplingConfig): SubsamplingSizes {
  let height = bands;
  const stages = channels.map((depth, i) => {
    // Each row sees three times, of which one is another row's, too.
    const rows = (SUBSAMPLED_ROWS + 1) * 2 ** (channels.length - 1 - i) - 1;
    const stride = alignUp(depth, PLACE_UNIT);
    height = halved(height);
    return { stride, bands: height, floats: rows * height * stride };
  });
  const columns = height * channels[channels.length - 1];
  const widest = KERNEL_SIDE ** 2 * Math.max(1, ...channels.slice(0, -1));
  const most = (turn: number) =>
    Math.max(0, ...stages.filter((_, i) => i % 2 === turn).map(({ floats }) => floats));
  return {
    ...{ stages, columns, first: most(0), second: most(1) },
    windows: Math.max(CONVOLVED_ROWS * widest, SUBSAMPLED_ROWS * columns) + FLOAT_ROW_PAD_WEIGHTS,
  };
}

export function subsamplingBytes(
  config: SubsamplingConfig,
  sizes: KernelSizes,
): Partial<StepGraphInput["bytes"]> {
  const { first, second, windows, columns } = subsamplingSizes(config);
  return {
    ...{ convolved: 4 * first, "convolved.again": 4 * second, windows: 4 * windows },
    "convolved.q8": sizes.q8_bytes(SUBSAMPLED_ROWS, columns),
  };
}

/** Rows that ask at a time, where all rows of a part are seen. */
export const ASKING_ROWS = 64;

/** Where all rows are seen, one head's rows at a time: places in a region, in floats. */
export interface WholeAttentionPlaces {
  /** From one row to the next: of a head's numbers, of scores, and of those by distance. */
  readonly strides: Readonly<Record<"head" | "scores" | "near", number>>;
  /**
   * [2 · rows - 1, strides.embedding], and [2 · rows - 1, own width] that is made of it; nothing of
   * distances that are learned.
   */
  readonly waves: number;
  readonly made: number;
  /** [rows, head], [2 · rows - 1, head], [headDim, scores]. */
  readonly keys: number;
  readonly positions: number;
  readonly values: number;
  /** [ASKING_ROWS, head] each, [ASKING_ROWS, scores], [ASKING_ROWS, near]. */
  readonly ofKeys: number;
  readonly ofPositions: number;
  readonly scores: number;
  readonly near: number;
  /** Of waves as q8 tiles; what is behind it is theirs. */
  readonly end: number;
}

export function wholeAttentionPlaces(
  of: Readonly<Record<"rows" | "headDim" | "width" | "embedding", number>> & {
    readonly config: NonNullable<ModelConfig["relative"]>;
  },
): WholeAttentionPlaces {
  const { headDim, width, embedding, config: { blockRows = Infinity, waves } } = of;
  const rows = Math.min(of.rows, blockRows);
  const distances = 2 * rows - 1;
  const head = alignUp(headDim, PLACE_UNIT), scores = alignUp(rows, PLACE_UNIT);
  const near = alignUp(rows + ASKING_ROWS, PLACE_UNIT);
  let end = 0;
  const next = (floats: number) => {
    const at = end;
    end += alignUp(floats + FLOAT_ROW_PAD_WEIGHTS, PLACE_UNIT);
    return at;
  };
  return {
    strides: { head, scores, near },
    waves: next(waves === null ? 0 : distances * embedding),
    made: next(waves === null ? 0 : distances * width),
    ...{ keys: next(rows * head), positions: next(distances * head) },
    values: next(headDim * scores),
    ...{ ofKeys: next(ASKING_ROWS * head), ofPositions: next(ASKING_ROWS * head) },
    ...{ scores: next(ASKING_ROWS * scores), near: next(ASKING_ROWS * near) },
    end,
  };
}

/** Of a model whose rows see all others by their distances. */
export function relativeBytes(
  { config: { relative, headDim, embeddingLength }, widths, strides, chunkTokens: rows, sizes }:
    WorkspaceInput,
): Partial<StepGraphInput["bytes"]> {
  if (relative?.rowsSeen !== null) return {};
  const { queries: width } = widths;
  const { embedding } = strides;
  const { end } = wholeAttentionPlaces({ rows, headDim, width, embedding, config: relative });
  const tiles = relative.waves === null ? 0 : sizes.q8_bytes(2 * rows - 1, embeddingLength);
  return { relative: 4 * end + tiles };
}
