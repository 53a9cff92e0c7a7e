/**
 * A layer's predictor, its rank chosen by what it saves: the rank with which predictor and gate
 * rows together cost a token least, in bytes of memory, rows of a list counted as the loader counts
 * them. Ranks double until that gets worse.
 */
import { check } from "../base/check.ts";
import { createArenaMemory } from "../memory/arena.ts";
import { LISTED_COST, packedRowBytes } from "../rank/plan/weight_types.ts";
import { PredictorNetwork } from "./network.ts";
import { type LayerSamples, splitSamples } from "./samples.ts";
import { type OnBatch, type TrainOptions, trainRank } from "./train_rank.ts";
import type { PredictorMatrix, TrainedPredictor } from "./trained_predictor.ts";
import { planTraining, RANK_STEP } from "./training_plan.ts";

/** What to train for a layer. */
export interface LayerTraining extends TrainOptions {
  /** A multiple of `RANK_STEP`, or "auto". */
  readonly rank: number | "auto";
  /** Bytes in memory of a row of the matrix that a prediction saves reading: the gate. */
  readonly gateRowBytes: number;
}

/** Told what is going on: `samples` more have been trained on, with this rank. */
export type OnTraining = (samples: number, rank: number) => void;

/** A layer's predictor and what was tried for it. */
export interface LayerResult {
  readonly predictor: TrainedPredictor;
  readonly rank: number;
  /**
   * What a token reads of predictor and gate on average, in bytes of rows that are read one behind
   * the other: those of a list count more.
   */
  readonly costBytes: number;
  /** The same without a predictor: the whole gate. */
  readonly gateBytes: number;
  /** Every rank that was trained, with its bytes. */
  readonly tried: readonly { readonly rank: number; readonly costBytes: number }[];
}

/** Too few to train on: a batch and something to judge by. */
export const SAMPLES_MIN = 64;
const BATCH_MAX = 256;
/** An epoch has at least so many steps, if there are samples for it. */
const STEPS_MIN = 32;
const RANK_MAX = 2048;

/** Ranks that "auto" tries. */
export function rankLadder({ inputLength, neuronCount }: LayerSamples): number[] {
  const most = Math.min(RANK_MAX, Math.max(RANK_STEP, inputLength, neuronCount / 4));
  const ranks: number[] = [];
  for (let rank = RANK_STEP; rank <= most; rank *= 2) ranks.push(rank);
  return ranks;
}

/**
 * Trains a layer's predictor. Same samples, same options: same bytes.
 * @param module the compiled kernels.
 */
export function trainLayer(
  samples: LayerSamples,
  training: LayerTraining,
  module: WebAssembly.Module,
  onTraining: OnTraining = () => {},
): LayerResult {
  check(samples.count >= SAMPLES_MIN, `${samples.count} samples to train on`);
  const ranks = training.rank === "auto" ? rankLadder(samples) : [training.rank];
  const split = splitSamples(samples.count);
  const batch = batchOf(split.training.length);
  const planOf = (rank: number) => planTraining({ ...samples, rank }, batch);
  const memory = createArenaMemory(planOf(Math.max(...ranks)).arena);
  const gateBytes = samples.neuronCount * training.gateRowBytes;
  const tried: { rank: number; costBytes: number }[] = [];
  let best: { predictor: TrainedPredictor; rank: number; costBytes: number } | null = null;
  for (const rank of ranks) {
    const plan = planOf(rank);
    new Uint8Array(memory.buffer).fill(0, 0, tried.length > 0 ? memory.buffer.byteLength : 0);
    const network = new PredictorNetwork(plan, module, memory);
    const onBatch: OnBatch = (count) => onTraining(count, rank);
    const predictor = trainRank(network, samples, split, training, onBatch);
    const predictorBytes = packedBytes(predictor.fc2) + packedBytes(predictor.fc1);
    const listedBytes = predictor.quality.predictedShare * gateBytes;
    const costBytes = predictorBytes + LISTED_COST * listedBytes;
    tried.push({ rank, costBytes });
    if (best !== null && costBytes >= best.costBytes) break;
    best = { predictor, rank, costBytes };
  }
  check(best !== null, "a rank was tried");
  return { ...best, gateBytes, tried };
}

/** Bytes of a matrix as ranks keep it: rows are padded. */
function packedBytes({ type, rows, columns }: PredictorMatrix): number {
  return rows * packedRowBytes(type, columns);
}

/** Samples of a batch: a multiple of the kernels' 16 columns. */
function batchOf(trainingCount: number): number {
  const wanted = Math.min(BATCH_MAX, Math.floor(trainingCount / STEPS_MIN));
  return Math.max(16, wanted & ~15);
}
