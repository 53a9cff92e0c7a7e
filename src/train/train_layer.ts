/**
 * A layer's predictors: one of a dense block, or one of each expert, all of one rank and of one
 * type a matrix, as files have them. The rank is chosen by what it saves: that with which
 * predictors and gate rows together cost a token least, in bytes of memory, rows of a list counted
 * as the loader counts them. Ranks double until that gets worse. Who trains is the caller's choice.
 */
import { check } from "../base/check.ts";
import { LISTED_COST, packedRowBytes } from "../rank/plan/weight_types.ts";
import { allFiring } from "./all_firing.ts";
import type { BlockSamples } from "./samples.ts";
import { SAMPLES_MIN, type TrainerOptions } from "./predictor_trainer.ts";
import type { PredictorQuality } from "./score_histogram.ts";
import type { PredictorMatrix, TrainedPredictor } from "./trained_predictor.ts";
import { RANK_STEP } from "./training_plan.ts";

/** What to train for a layer. */
export interface LayerTraining extends Omit<TrainerOptions, "rank"> {
  /** A multiple of `RANK_STEP`, or "auto". */
  readonly rank: number | "auto";
  /** Bytes in memory of a row of the matrix that a prediction saves reading: the gate. */
  readonly gateRowBytes: number;
  /** Experts that a token uses; 1 of a dense block. */
  readonly usedCount: number;
}

/** Trains a predictor of one rank; several may be asked for at once. */
export type TrainPredictor = (
  samples: BlockSamples,
  options: TrainerOptions,
) => Promise<TrainedPredictor>;

/** The predictor of a dense block or of an expert. */
export interface BlockResult {
  readonly predictor: TrainedPredictor;
  /** Tokens of the text that the block saw. */
  readonly samples: number;
  /** False where they were fewer than `SAMPLES_MIN`: the predictor names all neurons. */
  readonly isTrained: boolean;
}

/** A layer's predictors and what was tried for them. */
export interface LayerResult {
  /** The dense block, or experts in their order. */
  readonly blocks: readonly BlockResult[];
  /** Of all blocks together, each as often as tokens chose it. */
  readonly quality: PredictorQuality;
  readonly rank: number;
  /**
   * What a token reads of predictors and gates on average, in bytes of rows that are read one
   * behind the other: those of a list count more.
   */
  readonly costBytes: number;
  /** The same without predictors: whole gates. */
  readonly gateBytes: number;
  /** Every rank that was trained, with its bytes. */
  readonly tried: readonly { readonly rank: number; readonly costBytes: number }[];
}

const RANK_MAX = 2048;

/** Ranks that "auto" tries. */
export function rankLadder(
  { inputLength, neuronCount }: Pick<BlockSamples, "inputLength" | "neuronCount">,
): number[] {
  const most = Math.min(RANK_MAX, Math.max(RANK_STEP, inputLength, neuronCount / 4));
  const ranks: number[] = [];
  for (let rank = RANK_STEP; rank <= most; rank *= 2) ranks.push(rank);
  return ranks;
}

/**
 * Trains a layer's predictors. Same samples, same options: same bytes.
 * @param blocks the dense block's samples, or each expert's; one at least has `SAMPLES_MIN`.
 */
export async function trainLayer(
  blocks: readonly BlockSamples[],
  training: LayerTraining,
  train: TrainPredictor,
): Promise<LayerResult> {
  check(blocks.some(isEnough), "a layer with something to train on");
  const ranks = training.rank === "auto" ? rankLadder(blocks[0]) : [training.rank];
  const gateBytes = training.usedCount * blocks[0].neuronCount * training.gateRowBytes;
  const tried: { rank: number; costBytes: number }[] = [];
  let best: Omit<LayerResult, "gateBytes" | "tried"> | null = null;
  for (const rank of ranks) {
    const results = await trainBlocks(blocks, { ...training, rank }, train);
    const quality = qualityOfAll(results);
    const { fc1, fc2 } = results[0].predictor;
    const costBytes = training.usedCount * (packedBytes(fc2) + packedBytes(fc1)) +
      LISTED_COST * quality.predictedShare * gateBytes;
    tried.push({ rank, costBytes });
    if (best !== null && costBytes >= best.costBytes) break;
    best = { blocks: results, quality, rank, costBytes };
  }
  check(best !== null, "a rank was tried");
  return { ...best, gateBytes, tried };
}

async function trainBlocks(
  blocks: readonly BlockSamples[],
  options: TrainerOptions,
  train: TrainPredictor,
): Promise<BlockResult[]> {
  return await Promise.all(blocks.map(async (samples): Promise<BlockResult> => {
    const isTrained = isEnough(samples);
    const predictor = isTrained ? await train(samples, options) : allFiring(samples, options);
    return { predictor, samples: samples.count, isTrained };
  }));
}

function isEnough({ count }: BlockSamples): boolean {
  return count >= SAMPLES_MIN;
}

/** Blocks count by their samples, as if all of these had been held back. */
function qualityOfAll(blocks: readonly BlockResult[]): PredictorQuality {
  if (blocks.length === 1) return blocks[0].predictor.quality;
  let [samples, fired, found, predicted] = [0, 0, 0, 0];
  for (const { predictor: { quality }, samples: count } of blocks) {
    samples += count;
    fired += count * quality.firedShare;
    found += count * quality.firedShare * quality.recall;
    predicted += count * quality.predictedShare;
  }
  return {
    recall: fired === 0 ? 1 : found / fired,
    precision: predicted === 0 ? 1 : found / predicted,
    predictedShare: predicted / samples,
    firedShare: fired / samples,
  };
}

/** Bytes of a matrix as ranks keep it: rows are padded. */
function packedBytes({ type, rows, columns }: PredictorMatrix): number {
  return rows * packedRowBytes(type, columns);
}
