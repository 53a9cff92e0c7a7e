/** What of a plan is read from a file: matrices and vectors, with what belongs to them. */
import type { HeadNormPlan, MatrixPlan, NormPlan, VectorPlan } from "../plan/plan_types.ts";

export type Part = { readonly matrix: MatrixPlan } | { readonly vector: VectorPlan };

/** A matrix, its bias, its limits, and what adapters add to it. */
export function* partsOf(matrix: MatrixPlan): Generator<Part> {
  yield { matrix };
  for (const { first, second } of matrix.added ?? []) {
    yield* [{ matrix: first }, { matrix: second }];
  }
  if (matrix.bias !== null) yield { vector: matrix.bias };
  if (matrix.limits === undefined) return;
  for (const vector of Object.values(matrix.limits.bounds)) if (vector !== null) yield { vector };
}

/** Its weights, biases and gains, as far as it has some. */
export function* partsOfNorm(norm: NormPlan | HeadNormPlan | null): Generator<Part> {
  if (norm === null) return;
  if (norm.weight !== null) yield { vector: norm.weight };
  if (norm.bias !== null) yield { vector: norm.bias };
  if ("gain" in norm && norm.gain !== null) yield { vector: norm.gain };
}
