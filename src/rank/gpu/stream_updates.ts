/**
 * What blocks leave for the residual stream, on a GPU: added to it, or to a partial sum, together
 * with the norm that is read next where one dispatch can make both. Knows plans' norms and
 * matrices; not what the blocks are.
 */
import {
  addRows,
  type HalfNorm,
  headNorm,
  joinNorms,
  joinResidual,
  type NextNorm,
  type OneInput,
  type ProgramBuilder,
  type Rows,
  weighRows,
} from "../../../gpu/mod.ts";
import { check } from "../../base/check.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { GpuSpace } from "./gpu_space.ts";
import type { Stacked } from "./gpu_weights.ts";
import { addNorm, multiply, type NormReaders } from "./layer_operations.ts";
import type { GpuNorm } from "./layer_weights.ts";

export interface StreamPlace {
  readonly config: ModelConfig;
  readonly space: GpuSpace;
}

/** What is behind a block. */
export interface Following {
  /** In steps of tokens of a sequence each, and no others. */
  readonly isApart: boolean;
  /** What reads the stream; null: not known, or not through a norm. */
  readonly next: NormReaders | null;
  /** f32 [1], multiplies the stream before; null: nothing does. */
  readonly factor: GPUBuffer | null;
}

/** The norm behind a block, where whoever adds to the stream may make half of it. */
export function nextHalf(
  { config: { norm: { kind, epsilon } }, space: { normed } }: StreamPlace,
  { isApart, next, factor }: Following,
): NextNorm | null {
  const { norm = null, matrices: readers = null } = next ?? {};
  if (!isApart || factor !== null || norm === null || readers === null) return null;
  if (norm.bias !== null || kind !== "rms") return null;
  return { weight: norm.weight, epsilon, normed, readers };
}

/**
 * residual = factor · (residual + norm(residualScale · x)); by null: as it is. In models that
 * normalise sums residual = factor · norm(residual + residualScale · x).
 * @returns the next norm, where the same dispatch makes it.
 */
export function addToStream(
  builder: ProgramBuilder,
  { config, space: { residual, normed } }: StreamPlace,
  x: Rows,
  { by, following: { next, factor } }: { by: GpuNorm | null; following: Following },
): Rows | null {
  const { residualScale: scale, embeddingLength: width, norm: { kind, epsilon } } = config;
  const { postEpsilon = epsilon } = config.norm;
  const reads = next?.norm ?? null;
  if (config.normalizesSums) {
    addRows(builder, { x, to: residual, width, scale });
    normalizeSum(builder, config, { residual, by });
    scaleStream(builder, residual, { width, factor });
    return null;
  }
  const isPlain = kind === "rms" && by?.bias === null && reads?.bias === null;
  if (isPlain) {
    joinNorms(builder, {
      ...{ width, epsilon: postEpsilon, weight: by.weight },
      ...{ from: x, scale, to: residual, factor },
      next: { weight: reads.weight, epsilon, normed },
    });
    return normed;
  }
  if (by === null) addRows(builder, { x, to: residual, width, scale });
  else {
    const own = { ...config, norm: { ...config.norm, epsilon: postEpsilon } };
    addNorm(builder, own, by, { from: x, to: residual, accumulate: true, scale });
  }
  scaleStream(builder, residual, { width, factor });
  return null;
}

/** residual = norm(residual); null: it stays as it is. */
function normalizeSum(
  builder: ProgramBuilder,
  { embeddingLength: width, norm: { kind, epsilon, postEpsilon = epsilon } }: ModelConfig,
  { residual: x, by }: { residual: Rows; by: GpuNorm | null },
): void {
  if (by !== null) headNorm(builder, { ...by, kind, epsilon: postEpsilon, x, heads: 1, width });
}

/** residual *= factor; null: it stays as it is. */
function scaleStream(
  builder: ProgramBuilder,
  residual: Rows,
  { width, factor }: { width: number; factor: GPUBuffer | null },
): void {
  if (factor !== null) weighRows(builder, { x: residual, width, weights: factor });
}

/** Where a product goes: "rest" adds to a partial sum, "sum" to the stream. */
export type LeaveAs = "partial" | "rest" | "sum";

/**
 * partial = W · x; "rest": partial += it; "sum": residual += it, or its norm, or the sum's norm.
 * @returns the next norm, or half of it, where it is made, too.
 */
export function leaveProduct(
  builder: ProgramBuilder,
  place: StreamPlace,
  stacked: Stacked,
  { x, as, postNorm: by, following }: {
    x: Rows;
    as: LeaveAs;
    postNorm: GpuNorm | null;
    following: Following;
  },
): OneInput | null {
  const { space: { partial, residual }, config } = place;
  if (stacked.gains !== undefined) {
    check(as === "sum", "who has gains is alone, and its blocks follow one another");
    multiply(builder, stacked, { x, to: partial });
    const { gains: weights } = stacked;
    weighRows(builder, { x: partial, width: config.embeddingLength, weights, columnsPerWeight: 1 });
    return addToStream(builder, place, partial, { by, following });
  }
  const normalizesSum = as === "sum" && by !== null && config.normalizesSums === true;
  if (as !== "sum" || by !== null && !normalizesSum) {
    multiply(builder, stacked, { x, to: partial, accumulate: as === "rest" });
    return as === "sum" ? addToStream(builder, place, partial, { by, following }) : null;
  }
  const { residualScale: scale, embeddingLength: width } = config;
  const next = normalizesSum ? null : nextHalf(place, following);
  const left: HalfNorm | null = next &&
    joinResidual(builder, { ...stacked, ...next, x, to: residual, scale });
  if (left !== null) return left;
  multiply(builder, stacked, { x, to: residual, accumulate: true, scale });
  if (normalizesSum) normalizeSum(builder, config, { residual, by });
  scaleStream(builder, residual, { width, factor: following.factor });
  return null;
}
