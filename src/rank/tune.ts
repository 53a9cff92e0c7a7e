/**
 * Which of two kernels that give the same bits decodes faster on this machine: measured on the
 * rank's own weights, because how many streams the memory likes differs from processor to
 * processor (NOTES.md). Knows nothing of results.
 */
import type { Kernels } from "../../wasm/kernels.ts";
import { MiB } from "../base/units.ts";
import { type Matrix, matrixOf } from "./matrix.ts";
import type { RankPlan } from "./plan_types.ts";
import { isQuantType } from "./weight_types.ts";

/** Weights that are read per trial: more than caches near a core hold, some milliseconds. */
const TRIAL_BYTES_MAX = 32 * MiB;
/** What fits a cache is not worth a choice. */
const TRIAL_BYTES_MIN = 4 * MiB;
const TRIALS = 3;
/** Two streams must be this much faster than four to be taken. */
const ADVANTAGE = 0.97;

/** The rank's kernels, one set per arena, with the product that decodes faster. */
export function tuneKernels(plan: RankPlan, kernels: readonly Kernels[]): readonly Kernels[] {
  const matrices = trialMatrices(plan);
  if (matrices.length === 0) return kernels;
  const twoStreams = kernels.map((set) => ({ ...set, matmul_q8: set.matmul_q8_two_streams }));
  let [fourMs, twoMs] = [Infinity, Infinity];
  for (let trial = 0; trial < TRIALS; trial++) {
    fourMs = Math.min(fourMs, timeOf(kernels[0], plan, matrices));
    twoMs = Math.min(twoMs, timeOf(twoStreams[0], plan, matrices));
  }
  return twoMs < fourMs * ADVANTAGE ? twoStreams : kernels;
}

/** Quantised matrices of the first arena with rows for the neurons' workspace; none if too few. */
function trialMatrices(plan: RankPlan): Matrix[] {
  const matrices: Matrix[] = [];
  let bytes = 0;
  for (const layer of plan.layers) {
    if (layer.arena !== 0) break;
    const { feedForward } = layer;
    const blocks = feedForward.kind === "experts" ? feedForward.experts : [feedForward];
    for (const block of blocks) {
      const rows = block.kind === "dense" ? block.up : block.gate;
      if (rows === null || !isQuantType(rows.type) || bytes > TRIAL_BYTES_MAX) continue;
      const matrix = matrixOf(rows);
      matrices.push(matrix);
      bytes += matrix.rowCount * matrix.rowStrideBytes;
    }
  }
  return bytes < TRIAL_BYTES_MIN ? [] : matrices;
}

/** Milliseconds of multiplying all of them by whatever the workspace holds. */
function timeOf(kernels: Kernels, plan: RankPlan, matrices: readonly Matrix[]): number {
  const { normedQ8, up } = plan.workspaces[0];
  const startMs = performance.now();
  for (const { typeId, offsetBytes, rowStrideBytes, rowCount, columnCount } of matrices) {
    kernels.matmul_q8(
      typeId,
      offsetBytes,
      rowStrideBytes,
      rowCount,
      columnCount,
      normedQ8,
      1,
      up,
      rowCount,
    );
  }
  return performance.now() - startMs;
}
