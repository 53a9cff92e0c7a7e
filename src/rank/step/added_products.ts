/**
 * What adapters add to products as tokens are computed: to the rows of sequences that have some of
 * an adapter, and to no others, whoever else is in the step. Rows are summed up in the same order
 * whatever their number, so that a sequence gets what it would get alone.
 */
import { FLOAT_ROW_PAD_WEIGHTS } from "../../memory/row_layout.ts";
import { type Activations, type Added, type Matrix, multiplyFloats } from "../bound/matrix.ts";
import { ADDED_ROWS } from "../plan/plan_added.ts";
import type { StepState } from "./step_state.ts";

/**
 * out += what adapters add to the product of the matrix with x, of all rows of the step; out: f32
 * [n, outStride]. Positional, as kernels are: called for each token.
 */
export function addProducts(
  state: StepState,
  { added, rowCount }: Matrix,
  x: Activations,
  out: number,
  outStride: number,
): void {
  const { adapted } = state;
  if (added === null || adapted === null) return;
  for (let i = 0; i < added.length; i++) {
    const { bounds, count } = adapted.runs[added[i].adapter];
    for (let run = 0; run < count; run++) {
      const end = bounds[2 * run + 1];
      for (let t = bounds[2 * run]; t < end; t += ADDED_ROWS) {
        addRows(state, added[i], x, t, Math.min(ADDED_ROWS, end - t), out, outStride, rowCount);
      }
    }
  }
}

/** Of n rows from t on. */
function addRows(
  { kernels, space, plan, adapted, arena }: StepState,
  { adapter, factor, first, second }: Added,
  x: Activations,
  t: number,
  n: number,
  out: number,
  outStride: number,
  width: number,
): void {
  const { between, product, scales } = space.added!;
  const { stride } = plan.adapters!;
  const rank = first.rowCount;
  // What is behind the rank is read, too, and what another product left there may not be finite.
  if (rank % FLOAT_ROW_PAD_WEIGHTS !== 0) adapted!.between[arena].fill(0, 0, n * stride);
  multiplyFloats(kernels, first, x.f32 + 4 * t * x.stride, x.stride, n, between, stride);
  const own = scales + 4 * (adapter * plan.chunkTokens + t);
  kernels.scale_rows_f32(between, stride, own, n, rank);
  if (factor !== null) kernels.scale_f32(between, stride, n, rank, factor);
  multiplyFloats(kernels, second, between, stride, n, product, width);
  kernels.add_f32(out + 4 * t * outStride, outStride, product, width, n, width);
}
