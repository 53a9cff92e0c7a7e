/**
 * What conformers have in a plan: what a layer attends by and filters with, and what makes rows of
 * a spectrogram. Knows tensors and shards; lays nothing by itself.
 */
import { alignUp } from "../../base/check.ts";
import { FLOAT_ROW_PAD_WEIGHTS } from "../../memory/row_layout.ts";
import type { SubsamplingConfig } from "../../model/conformer_types.ts";
import { halved, KERNEL_SIDE } from "../../model/plane.ts";
import type { LayerTensors, ModelTensors, VectorTensor } from "../../model/types.ts";
import { CONVOLVED_ROWS } from "./convolved_rows.ts";
import type { Placer } from "./plan_layer.ts";
import { norm } from "./plan_norm.ts";
import type { MatrixPlan, NormPlan, VectorPlan } from "./plan_types.ts";
import type { KernelSizes } from "./plan_workspace.ts";
import { lengthOf, type Range, scale } from "./shard.ts";
import type { StepGraphInput } from "./step_graph.ts";

/** Own heads of a layer that attends by relative positions. */
export interface RelativePlan {
  readonly kind: "attends";
  readonly positions: MatrixPlan;
  /** [headDim], or null. */
  readonly queryGains: VectorPlan | null;
  readonly keyGains: VectorPlan | null;
}

/** Own channels of a layer that filters. */
export interface FilterPlan {
  readonly kind: "filters";
  readonly taps: number;
  /** [taps, own channels]. */
  readonly weights: VectorPlan;
  readonly bias: VectorPlan | null;
  readonly norm: VectorPlan;
}

export type ConformerPlan = RelativePlan | FilterPlan;

/** As `SubsamplingTensors`, of the rank that leads. */
export interface SubsamplingPlan {
  readonly second: MatrixPlan;
  readonly norms: readonly [NormPlan, NormPlan];
  readonly output: MatrixPlan;
}

/** own: numbers of own heads. */
export function planConformer(
  place: Placer,
  { relative, filter }: LayerTensors,
  own: Range,
): ConformerPlan | null {
  if (relative !== undefined) {
    const each = (vector: VectorTensor | undefined) => vector ? place.vector(vector) : null;
    return {
      kind: "attends",
      positions: place.matrix(relative.positions, { rows: own }),
      ...{ queryGains: each(relative.queryGains), keyGains: each(relative.keyGains) },
    };
  }
  if (filter === undefined) return null;
  const { weights, bias, norm } = filter;
  const taps = weights.length / norm.length;
  return {
    ...{ kind: "filters", taps },
    weights: { ...place.vector(weights, scale(own, taps)), columns: taps },
    bias: bias ? place.vector(bias, own) : null,
    norm: place.vector(norm, own),
  };
}

/** Null: the rank does not lead, or nothing makes frames fewer. rows: those of the first matrix. */
export function planSubsampling(
  place: Placer,
  { subsampling }: ModelTensors,
  rows: Range,
): SubsamplingPlan | null {
  if (subsampling === undefined || lengthOf(rows) === 0) return null;
  const { second, norms: [first, last], output } = subsampling;
  return {
    second: place.matrix(second, {}),
    norms: [norm(place, first), norm(place, last)],
    output: place.matrix(output, {}),
  };
}

/** What loading reads of both. */
export function conformerPieces(plan: ConformerPlan | SubsamplingPlan): {
  readonly matrices: readonly MatrixPlan[];
  readonly vectors: readonly (VectorPlan | null)[];
} {
  if (!("kind" in plan)) {
    const vectors = plan.norms.flatMap(({ weight, bias }) => [weight, bias]);
    return { matrices: [plan.second, plan.output], vectors };
  }
  if (plan.kind === "filters") {
    return { matrices: [], vectors: [plan.weights, plan.bias, plan.norm] };
  }
  return { matrices: [plan.positions], vectors: [plan.queryGains, plan.keyGains] };
}

/** Rows that convolutions make at a time: what is between them is small. */
export const SUBSAMPLED_ROWS = 8;
/** Floats that places of a plane are whole numbers of. */
const PLACE_UNIT = 16;

/** What a piece of a plane has between its convolutions, in floats. */
export interface SubsamplingSizes {
  /** From one place to the next of what each convolution gives. */
  readonly strides: readonly [number, number];
  /** Bands of what each gives. */
  readonly bands: readonly [number, number];
  /** Of what the first one gives, and the second one. */
  readonly first: number;
  readonly second: number;
  /** Of windows side by side, or of what rows are made of. */
  readonly windows: number;
  /** Of what a row is made of. */
  readonly columns: number;
}

export function subsamplingSizes({ bands, channels }: SubsamplingConfig): SubsamplingSizes {
  const strides = [alignUp(channels[0], PLACE_UNIT), alignUp(channels[1], PLACE_UNIT)] as const;
  const left = [halved(bands), halved(halved(bands))] as const;
  const columns = left[1] * channels[1];
  const window = KERNEL_SIDE ** 2 * channels[0];
  return {
    ...{ strides, bands: left, columns },
    first: (2 * SUBSAMPLED_ROWS + 1) * left[0] * strides[0],
    second: SUBSAMPLED_ROWS * left[1] * strides[1],
    windows: Math.max(CONVOLVED_ROWS * window, SUBSAMPLED_ROWS * columns) + FLOAT_ROW_PAD_WEIGHTS,
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
