/** Operations of a layer as its weights are kept: norms, and products with what lies stacked. */
import {
  type GpuMatrix,
  matmul,
  multiplyOne,
  norm,
  type OneInput,
  type ProgramBuilder,
  type Rows,
} from "../../../gpu/mod.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { Stacked } from "./gpu_weights.ts";
import type { GpuNorm } from "./layer_weights.ts";

/** A norm, and every matrix that reads it. */
export interface NormReaders {
  readonly norm: GpuNorm;
  readonly matrices: readonly GpuMatrix[];
}

/** to = norm(from), or added to it. */
export function addNorm(
  builder: ProgramBuilder,
  { norm: { kind, epsilon }, embeddingLength: width }: ModelConfig,
  { weight, bias }: GpuNorm,
  rows: { from: Rows; to: Rows; accumulate?: boolean; scale?: number; count?: "scored" },
): void {
  norm(builder, { kind, epsilon, width, weight, bias, ...rows });
}

/** to = W · x + bias. */
export function multiply(
  builder: ProgramBuilder,
  { matrix, bias }: Stacked,
  rows: { x: Rows; to: Rows; accumulate?: boolean; scale?: number; count?: "scored" },
): void {
  matmul(builder, { matrix, bias, ...rows });
}

/** The same, of what lacks the factor of its norm, too. */
export function multiplyAny(
  builder: ProgramBuilder,
  stacked: Stacked,
  { x, to }: { x: OneInput; to: Rows },
): void {
  if ("rows" in x) multiplyOne(builder, { ...stacked, x, to });
  else multiply(builder, stacked, { x, to });
}
