/**
 * Trains one predictor after another in one memory, which grows to what the largest needs: a memory
 * of its own for each would be given back when the collector likes, and thousands are trained.
 */
import { check } from "../base/check.ts";
import { createArenaMemory, PAGE_BYTES } from "../memory/arena.ts";
import { PredictorNetwork } from "./network.ts";
import { type BlockSamples, splitSamples } from "./samples.ts";
import { type OnBatch, type TrainOptions, trainRank } from "./train_rank.ts";
import type { TrainedPredictor } from "./trained_predictor.ts";
import { planTraining } from "./training_plan.ts";

/** How to train a predictor. */
export interface TrainerOptions extends TrainOptions {
  /** A multiple of `RANK_STEP`. */
  readonly rank: number;
}

/**
 * Fewer are too few to train on: of neighbouring tokens, which are alike, a predictor learns
 * nothing then that holds for others. With 64 it finds as large a share of the neurons that fire as
 * it names of all, which chance does, too; with 256 it finds 91 to 97 % and names 67 to 82
 * (NOTES.md, "Training predictors of experts").
 */
export const SAMPLES_MIN = 256;
const BATCH_MAX = 256;
/** An epoch has at least so many steps, if there are samples for it. */
const STEPS_MIN = 32;

export class PredictorTrainer {
  readonly #module: WebAssembly.Module;
  #memory: WebAssembly.Memory | null = null;

  /** @param module the compiled kernels. */
  constructor(module: WebAssembly.Module) {
    this.#module = module;
  }

  /** Same samples, same options: same bytes, whatever was trained before. */
  train(
    samples: BlockSamples,
    options: TrainerOptions,
    onBatch: OnBatch = () => {},
  ): TrainedPredictor {
    check(samples.count >= SAMPLES_MIN, `${samples.count} samples to train on`);
    const split = splitSamples(samples.count);
    const plan = planTraining(
      { ...samples, rank: options.rank },
      batchOf(split.training.length),
    );
    const network = new PredictorNetwork(plan, this.#module, this.#cleared(plan.arena.pageCount));
    return trainRank(network, samples, split, options, onBatch);
  }

  /** Zeros: so many pages of a memory. */
  #cleared(pages: number): WebAssembly.Memory {
    const bytes = pages * PAGE_BYTES;
    if (this.#memory === null || this.#memory.buffer.byteLength < bytes) {
      return this.#memory = createArenaMemory({ regions: [], pageCount: pages });
    }
    new Uint8Array(this.#memory.buffer, 0, bytes).fill(0);
    return this.#memory;
  }
}

/** Samples of a batch: a multiple of the kernels' 16 columns. */
function batchOf(trainingCount: number): number {
  const wanted = Math.min(BATCH_MAX, Math.floor(trainingCount / STEPS_MIN));
  return Math.max(16, wanted & ~15);
}
