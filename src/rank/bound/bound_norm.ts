/** Norms as the walk uses them: addresses, bound once when the rank starts. */
import type { Kernels } from "../../../wasm/kernels.ts";
import type { NormConfig } from "../../model/types.ts";
import type { HeadNormPlan, NormPlan, VectorPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";

/** Addresses of f32 [embeddingLength]; weight 0: all are 1; bias 0: none. */
export interface Norm {
  readonly weight: number;
  readonly bias: number;
}

/** A norm of queries or keys. */
export interface HeadNorm {
  readonly span: "head" | "projection";
  /** 0: all are 1. */
  readonly weight: number;
  /** Address of f32 [own heads · headDim]; 0: none. */
  readonly bias: number;
  /** Address of f32 [own heads], which each head is multiplied by; 0: none. */
  readonly gain: number;
  /** Floats from one head's weights to the next one's; 0 where all share them. */
  readonly weightStep: number;
}

export function bindNorm(plan: NormPlan): Norm;
export function bindNorm(plan: NormPlan | null): Norm | null;
export function bindNorm(plan: NormPlan | null): Norm | null {
  if (plan === null) return null;
  return { weight: addressOf(plan.weight), bias: addressOf(plan.bias) };
}

export function bindHeadNorm(plan: HeadNormPlan | null, headDim: number): HeadNorm | null {
  if (plan === null) return null;
  const { span, weight } = plan;
  const bias = addressOf(plan.bias);
  const gain = addressOf(plan.gain);
  if (weight === null) return { span, weight: 0, bias, gain, weightStep: 0 };
  // One own head of several has headDim weights, too: stepping over them once changes nothing.
  const weightStep = lengthOf(weight.range) > headDim ? headDim : 0;
  return { span, weight: weight.offsetBytes, bias, gain, weightStep };
}

/** 0: there is none. */
export function addressOf(vector: VectorPlan | null): number {
  return vector === null ? 0 : vector.offsetBytes;
}

/**
 * to[t] = norm(from[t]), n rows of d numbers, zero for columns d..toStride; strides in floats.
 * ones: address of f32 [d], weights of norms that have none. Called as kernels are: it is on every
 * token's path.
 */
export function normalizeRows(
  kernels: Kernels,
  kind: NormConfig["kind"],
  norm: Norm,
  ones: number,
  from: number,
  fromStride: number,
  to: number,
  toStride: number,
  n: number,
  d: number,
  epsilon: number,
): void {
  const weight = norm.weight || ones;
  if (kind === "rms") {
    kernels.rms_norm_f32(from, fromStride, weight, to, toStride, n, d, epsilon);
    if (norm.bias !== 0) kernels.add_bias_f32(to, toStride, norm.bias, n, d);
  } else {
    kernels.layer_norm_f32(from, fromStride, weight, norm.bias, to, toStride, n, d, epsilon);
  }
}
