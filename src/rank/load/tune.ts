/**
 * Which of the kernels that give the same bits are faster on this machine: measured on the rank's
 * own weights, because how many streams the memory likes, and which products V8 has an operation
 * for, differs from processor to processor, and how many registers it finds from flag to flag
 * (NOTES.md). Knows nothing of results.
 */
import type { Kernels } from "../../../wasm/kernels.ts";
import { KiB, MiB } from "../../base/units.ts";
import { type Matrix, matrixOf } from "../bound/matrix.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import { isQuantType, type WeightType } from "../plan/weight_types.ts";

/** Weights of a trial: a millisecond or two from memory. */
const TRIAL_BYTES = 16 * MiB;
/** What fits a cache is not worth a choice. */
const WEIGHT_BYTES_MIN = 4 * MiB;
/** Pairs of trials, one of each kernel; each pair reads other weights: a cache has none of them. */
const PAIRS = 8;
/** Weights that stay in a core's own cache, and how often a trial reads them. */
const CACHED_BYTES = 128 * KiB;
const CACHED_TIMES = 32;
/** What a few tokens are where it is tried. */
const FEW_TOKENS = 8;
/** Kernels are as fast as they will be when none has become faster for so long, or at last. */
const STEADY_MS = 40;
const WARM_UP_MS_MAX = 200;
type Product = Kernels["matmul_q8"];
/** What is not usual must be this much faster to be taken, in the median of pairs. */
const ADVANTAGE = 0.97;

/** Their sums are the same either way: halves of their blocks have scales of their own. */
const SUMMED_BY_PAIRS: readonly WeightType[] = [
  ...["Q2_K", "Q3_K", "Q6_K", "NVFP4", "NVFP4S"] as const,
  ...["IQ2_S", "IQ2_XS", "IQ1_M", "IQ2_S_W", "IQ2_XS_W", "IQ1_M_W"] as const,
];
/** Those of one token are: weights are looked up, digits, or in two parts. */
const DECODED_ALIKE: readonly WeightType[] = [
  ...["IQ3_S", "IQ3_XXS", "IQ2_XXS", "IQ1_S", "TQ1_0", "IQ3_XXS_W", "IQ2_XXS_W"] as const,
];

/** The rank's kernels, one set per arena, of either way to add up products (wasm/load.ts). */
export interface KernelSets {
  readonly pairs: readonly Kernels[];
  /** Asked once, where products are tried: models of few weights need none. */
  readonly makeFours: () => readonly Kernels[];
}

/**
 * The rank's kernels, one set per arena, with the products that decode faster, and those that
 * compute several tokens faster.
 */
export function tuneKernels(plan: RankPlan, sets: KernelSets): readonly Kernels[] {
  const trials = trialsOf(plan);
  if (trials.length === 0) return sets.pairs;
  const allByFours = sets.makeFours();
  const [[byPairs], [byFours]] = [sets.pairs, allByFours];
  const tellable = trials.flat().filter(({ type }) => !SUMMED_BY_PAIRS.includes(type));
  const told = tellable.find(({ type }) => !DECODED_ALIKE.includes(type));
  /** Is the first product the faster one of n tokens? */
  const isFaster = (first: Product, second: Product, n: number) =>
    medianRatio((pair) => {
      const times = [first, second].map((multiply, i) =>
        timePerByte(multiply, plan, trials[(2 * pair + i) % trials.length], n)
      );
      return times[0] / times[1];
    }) < ADVANTAGE;
  const decodesByFours = told !== undefined && computesFaster(plan, told, [byFours, byPairs]);
  const one = decodesByFours ? byFours : byPairs;
  const hasTwoStreams = isFaster(one.matmul_q8_two_streams, one.matmul_q8, 1);
  const n = Math.min(FEW_TOKENS, plan.chunkTokens);
  const sumsByFours = tellable.length > 0 && n > 1 &&
    isFaster(byFours.matmul_q8_few, byPairs.matmul_q8_few, n);
  const several = sumsByFours ? byFours : byPairs;
  const unpacksInMemory = n > 1 && isFaster(several.matmul_q8, several.matmul_q8_few, n);
  return sets.pairs.map((pairs, arena) => {
    const fours = allByFours[arena];
    const { matmul_q8, matmul_q8_two_streams, matmul_q8_rows } = decodesByFours ? fours : pairs;
    const set = sumsByFours ? fours : pairs;
    return {
      ...set,
      matmul_q8: hasTwoStreams ? matmul_q8_two_streams : matmul_q8,
      matmul_q8_rows,
      matmul_q8_few: unpacksInMemory ? set.matmul_q8 : set.matmul_q8_few,
    };
  });
}

/**
 * Does the first one's product of a token compute faster? From memory both wait for it, and chance
 * would decide: these rows come from the cache. V8 compiles a kernel a second time, ten times as
 * fast, behind its first milliseconds, and before that its times say nothing: both run in turns
 * until neither has become faster for a while.
 */
function computesFaster(plan: RankPlan, matrix: Matrix, kernels: readonly Kernels[]): boolean {
  const rows = cachedRows(matrix);
  const best = kernels.map(() => Infinity);
  const startMs = performance.now();
  let betterMs = startMs;
  for (let nowMs = startMs; nowMs < Math.min(betterMs + STEADY_MS, startMs + WARM_UP_MS_MAX);) {
    for (const [i, { matmul_q8 }] of kernels.entries()) {
      const time = timePerByte(matmul_q8, plan, rows, 1);
      nowMs = performance.now();
      if (time < ADVANTAGE * best[i]) betterMs = nowMs;
      best[i] = Math.min(best[i], time);
    }
  }
  return best[0] < ADVANTAGE * best[1];
}

/** Other threads take the core now and then: that spoils a pair, not the median. */
function medianRatio(ratioOf: (pair: number) => number): number {
  const ratios = Array.from({ length: PAIRS }, (_, pair) => ratioOf(pair));
  return ratios.sort((a, b) => a - b)[PAIRS / 2];
}

/**
 * Quantised matrices of the first arena with rows for the neurons' workspace, some for each trial;
 * none if there are too few.
 */
function trialsOf(plan: RankPlan): Matrix[][] {
  const trials: Matrix[][] = [];
  let bytes = 0, all = 0;
  for (const matrix of neuronRows(plan)) {
    if (trials.length === 0 || bytes >= TRIAL_BYTES) {
      if (trials.length === 2 * PAIRS) break;
      trials.push([]);
      bytes = 0;
    }
    trials[trials.length - 1].push(matrix);
    bytes += bytesOf(matrix);
    all += bytesOf(matrix);
  }
  return all < WEIGHT_BYTES_MIN ? [] : trials;
}

/** The first rows of a matrix, several times: they come from the cache. */
function cachedRows(matrix: Matrix): Matrix[] {
  const rows = Math.ceil(CACHED_BYTES / matrix.rowStrideBytes);
  const rowCount = Math.min(matrix.rowCount, rows);
  return Array.from({ length: CACHED_TIMES }, () => ({ ...matrix, rowCount }));
}

function* neuronRows(plan: RankPlan): Generator<Matrix> {
  for (const layer of plan.layers) {
    if (layer.arena !== 0) break;
    const { feedForward } = layer;
    if (feedForward === null) continue;
    const blocks = feedForward.kind === "experts" ? feedForward.experts : [feedForward];
    for (const block of blocks) {
      const rows = block.kind === "dense" ? block.up : block.gate;
      if (rows !== null && isQuantType(rows.type)) yield matrixOf(rows);
    }
  }
}

function bytesOf({ rowCount, rowStrideBytes }: Matrix): number {
  return rowCount * rowStrideBytes;
}

/** Time of multiplying all of them by n tokens, whatever the workspace holds, over their bytes. */
function timePerByte(
  multiply: Product,
  plan: RankPlan,
  matrices: readonly Matrix[],
  n: number,
): number {
  const { normedQ8, up } = plan.workspaces[0];
  let bytes = 0;
  const startMs = performance.now();
  for (const matrix of matrices) {
    const { typeId, offsetBytes: w, rowStrideBytes: stride, rowCount: rows, columnCount } = matrix;
    multiply(typeId, w, stride, rows, columnCount, normedQ8, n, up, rows);
    bytes += bytesOf(matrix);
  }
  return (performance.now() - startMs) / bytes;
}
