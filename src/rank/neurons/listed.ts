/**
 * Products of one token with listed rows of a matrix, and what neurons make of them. Knows nothing
 * of how a list came about, nor whether rows are neurons of a matrix or slots of a cache.
 */
import type { Kernels } from "../../../wasm/kernels.ts";
import type { FeedForwardConfig } from "../../model/types.ts";
import { type Activations, type Matrix, readsQ8 } from "../bound/matrix.ts";
import { aloneKernel, gatedKernel } from "./neurons.ts";
import type { ListPlan } from "../plan/stream_types.ts";
import type { StepState } from "../step/step_state.ts";

/** out[j] = row list[j] of the matrix times x; list: address of u32 [count]. */
export function multiplyListed(
  kernels: Kernels,
  matrix: Matrix,
  x: Activations,
  list: number,
  count: number,
  out: number,
): void {
  const { typeId, offsetBytes: w, rowStrideBytes: stride, rowCount, columnCount: k } = matrix;
  if (readsQ8(matrix)) {
    kernels.matmul_q8_rows(typeId, w, stride, rowCount, k, x.q8, list, count, out);
  } else {
    kernels.matmul_float_rows(typeId, w, stride, rowCount, k, x.f32, list, count, out);
  }
}

/**
 * values [count] = what neurons give whose products with gate are there and with up at `ups`, f32
 * [count], which is overwritten.
 */
export function activateListed(
  kernels: Kernels,
  { activation, activatesUp }: FeedForwardConfig,
  ups: number,
  values: number,
  count: number,
): void {
  if (activatesUp) aloneKernel(kernels, activation)(ups, count, ups, count, 1, count);
  gatedKernel(kernels, activation)(values, ups, count, values, count, 1, count);
}

/** What neurons at places from .. to-1 of a list give, whose products with gate are there. */
export function multiplyUps(
  { kernels, space, config: { feedForward } }: StepState,
  ups: Matrix,
  x: Activations,
  { slots, values }: ListPlan,
  from: number,
  to: number,
): void {
  multiplyListed(kernels, ups, x, slots + 4 * from, to - from, space.up);
  activateListed(kernels, feedForward, space.up, values + 4 * from, to - from);
}
