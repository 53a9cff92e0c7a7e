/** Norms in a plan: whole ones, and those of own heads. */
import type { HeadNormTensors, ModelTensors, NormTensors } from "../../model/types.ts";
import type { Placer } from "./plan_layer.ts";
import type { VectorPlan } from "./plan_types.ts";
import type { Range } from "./shard.ts";

export interface NormPlan {
  /** Null: all are 1. */
  readonly weight: VectorPlan | null;
  readonly bias: VectorPlan | null;
}

/** The norm of queries or keys: this rank's weights of it. */
export interface HeadNormPlan {
  readonly span: "head" | "projection";
  /** [headDim] where all heads share them, else [own heads · headDim]; null: all are 1. */
  readonly weight: VectorPlan | null;
  /** [own heads · headDim], or null. */
  readonly bias: VectorPlan | null;
  /** [own heads], or null. */
  readonly gain: VectorPlan | null;
}

/** A norm of the residual stream, whole on every rank. */
export function norm(place: Placer, tensors: NormTensors): NormPlan;
export function norm(place: Placer, tensors: NormTensors | null): NormPlan | null;
export function norm(place: Placer, tensors: NormTensors | null): NormPlan | null {
  if (tensors === null) return null;
  const { weight, bias } = tensors;
  return {
    weight: weight && place.vector(weight),
    bias: bias === null ? null : place.vector(bias),
  };
}

/** Own heads' weights, or those that all share. */
export function headNorm(
  place: Placer,
  tensors: HeadNormTensors | null,
  own: { rows: Range; headDim: number },
): HeadNormPlan | null {
  if (tensors === null) return null;
  const { span, weight } = tensors;
  const bias = tensors.bias ? place.vector(tensors.bias, own.rows) : null;
  const heads = { start: own.rows.start / own.headDim, end: own.rows.end / own.headDim };
  const gain = tensors.gain ? place.vector(tensors.gain, heads) : null;
  if (weight === null) return { span, weight, bias, gain };
  const isShared = span === "head" && weight.length === own.headDim;
  const rows = isShared ? undefined : own.rows;
  return { span, weight: place.vector(weight, rows), bias, gain };
}

/** True where norms need ones for weights. */
export function hasPlainNorms(
  { embeddingNorm, outputNorm, projector, layers }: ModelTensors,
): boolean {
  return outputNorm?.weight === null || embeddingNorm?.weight === null ||
    projector?.norm?.weight === null ||
    layers.some(({ queryNorm, valueNorm }) =>
      queryNorm?.weight === null || valueNorm?.weight === null
    );
}

/** True where the shared expert and the others are normalised before they are added. */
export function hasExpertsApart({ layers }: ModelTensors): boolean {
  return layers.some(({ feedForward }) => feedForward?.kind === "experts" && feedForward.apart);
}
