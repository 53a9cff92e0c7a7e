/** One or two matrices of a projector, bound to where a rank has them. */
import type { Activation } from "../../model/types.ts";
import { bindNorm, type Norm } from "../bound/bound_norm.ts";
import { type Matrix, matrixOf } from "../bound/matrix.ts";
import type { FramePlan, ProjectionPlan } from "../plan/plan_projector.ts";

/** One or two matrices, bound. */
export interface Projection {
  readonly norm: Norm | null;
  readonly first: Matrix;
  readonly gate: Matrix | null;
  readonly second: Matrix | null;
  /** Of what the second matrix reads. */
  readonly hiddenNorm: Norm | null;
  readonly frame: { readonly norm: Norm; readonly plan: FramePlan } | null;
  /** Of a single matrix. */
  readonly ownStart: number;
  /** First column of it that there are inputs for; null: it has its own rows, or is transposed. */
  readonly columnsStart: number | null;
  /** Between two matrices. */
  readonly activation: Activation | null;
  /** First column of what comes out. */
  readonly outStart: number;
}

/** outStart: the first column of what comes out. */
export function bindProjection(
  { norm, first, gate, hiddenNorm, frame, second, own, columns }: ProjectionPlan,
  of: Pick<Projection, "activation" | "outStart">,
): Projection {
  return {
    norm: bindNorm(norm),
    first: matrixOf(first),
    gate: gate && matrixOf(gate),
    second: second && matrixOf(second),
    hiddenNorm: bindNorm(hiddenNorm),
    frame: frame && { norm: bindNorm(frame.norm), plan: frame },
    ownStart: own.start,
    columnsStart: columns?.start ?? null,
    ...of,
  };
}
