/**
 * Norms inside of blocks: of what all heads, or all neurons, give together, before the matrix that
 * merges them. Ranks have parts of it. A norm is a factor of a token's own and weights, so that
 * merge(norm(x)) is factor · merge(weights ⊙ x): a rank weighs its part, its sum of squares goes to
 * where all ranks read it, and the factor comes behind the join that there is anyway.
 * A rank that has no part leaves its squares 0, as memory begins.
 */
import type { Activations } from "../bound/matrix.ts";
import type { StepState } from "./step_state.ts";

/** Which rows of `space.squares` norms inside of blocks have; those of heads have the same. */
export const HEADS = 0;
export const NEURONS = 1;

/** Where a norm's own weights are, f32; 0: there is no such norm. */
export type InnerNorm = number;

/**
 * Address of 1 / rms of what all ranks have together, f32 [n], behind a join. row: of the squares;
 * width: numbers of a token, of all ranks.
 */
export function rootFactors(state: StepState, row: number, width: number): number {
  const { arenaViews, arena, plan: { rankIndex, chunkTokens }, config, space, n } = state;
  const squares = arenaViews.squares[arena];
  const factorsAt = (2 + row) * chunkTokens;
  for (let t = 0; t < n; t++) {
    let sum = 0;
    for (let rank = 0; rank < squares.length; rank++) {
      sum += squares[rank][row * chunkTokens + t];
    }
    squares[rankIndex][factorsAt + t] = 1 / Math.sqrt(sum / width + config.norm.epsilon);
  }
  return space.squares + factorsAt * 4;
}

/** x = weights ⊙ x of all tokens, and their squares. */
export function weigh(
  { kernels, space, plan: { chunkTokens }, n }: StepState,
  norm: InnerNorm,
  x: Activations,
  { row, width }: { row: number; width: number },
): void {
  kernels.row_squares_f32(x.f32, x.stride, n, width, space.squares + 4 * row * chunkTokens);
  kernels.mul_weight_f32(x.f32, x.stride, norm, n, width);
}

/**
 * The same of `count` neurons of one token: those of `list`, u32, whose values are at `values`. All
 * of the rank's `neurons` are summed up: sums have the same bits whatever is listed, in any order.
 * rows: address of the token's number. `space.hidden` is overwritten.
 */
export function weighListed(
  { kernels, space, inputs: { hidden }, plan: { chunkTokens } }: StepState,
  norm: InnerNorm,
  by: { list: number; values: number; count: number; rows: number; neurons: number },
): void {
  const { list, values, count, rows, neurons } = by;
  const { f32: all, stride } = hidden;
  const token = (rows - space.tokens) / 4;
  const squares = space.squares + 4 * (NEURONS * chunkTokens + token);
  kernels.scatter_f32(values, list, count, all, stride);
  kernels.row_squares_f32(all, stride, 1, neurons, squares);
  kernels.mul_weight_f32(all, stride, norm, 1, neurons);
  kernels.gather_rows_f32(all, 1, neurons, list, count, values, 1, 1);
}
