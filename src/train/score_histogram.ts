/**
 * How a predictor's recall and the share it predicts depend on a shift of all its scores.
 *
 * A predictor has no bias, so scores cannot be shifted as such; but adding the same τ / rank to
 * every weight of fc2 adds τ · b to every score of a token, b being the mean of the token's hidden
 * layer, which ReLU keeps positive. A neuron is predicted when score + τ · b ≥ 0.
 */
import { check } from "../base/check.ts";
import type { BatchLabels } from "./loss.ts";

/** Counted shifts reach from −SHIFT_MAX to SHIFT_MAX. */
const SHIFT_MAX = 32;
/** An even number, so that 0 is an edge between bins. */
const BINS = 1 << 13;
const BINS_PER_UNIT = BINS / (2 * SHIFT_MAX);

/** What a predictor is worth, over some samples. */
export interface PredictorQuality {
  /** Share of the neurons that fire which are predicted, 0..1; 1 where none fires. */
  readonly recall: number;
  /** Share of the predicted neurons that fire; 1 where none is predicted. */
  readonly precision: number;
  /** Share of all neurons that is predicted. */
  readonly predictedShare: number;
  /** Share of all neurons that fires. */
  readonly firedShare: number;
}

/** Counts scores of neurons that fire, and of all, by the shift that would predict them. */
export class ScoreHistogram {
  readonly #fired = new Float64Array(BINS);
  readonly #all = new Float64Array(BINS);

  clear(): void {
    this.#fired.fill(0);
    this.#all.fill(0);
  }

  /**
   * Adds a chunk of scores.
   * @param scores f32 [neurons.count, stride].
   * @param hiddenMeans b of each sample.
   */
  add(
    scores: Float32Array,
    neurons: { readonly first: number; readonly count: number },
    { labels, hiddenMeans, stride, samples }: {
      labels: BatchLabels;
      hiddenMeans: Float32Array;
      stride: number;
      samples: number;
    },
  ): void {
    for (let j = 0; j < neurons.count; j++) {
      for (let t = 0; t < samples; t++) {
        const bin = binOf(scores[j * stride + t], hiddenMeans[t]);
        this.#all[bin]++;
        this.#fired[bin] += labels.fired(neurons.first + j, t);
      }
    }
  }

  /** The smallest counted shift with at least this recall; SHIFT_MAX where there is none. */
  shiftFor(recall: number): number {
    const goal = recall * this.#fired.reduce((sum, count) => sum + count, 0);
    let found = 0;
    let bin = 0;
    while (bin < BINS && found < goal) found += this.#fired[bin++];
    return bin / BINS_PER_UNIT - SHIFT_MAX;
  }

  /** What the predictor is worth with a shift. */
  quality(shift: number): PredictorQuality {
    const end = Math.round((shift + SHIFT_MAX) * BINS_PER_UNIT);
    check(end >= 0 && end <= BINS, `a shift of ${shift}`);
    let found = 0, predicted = 0, fired = 0, all = 0;
    for (let bin = 0; bin < BINS; bin++) {
      fired += this.#fired[bin];
      all += this.#all[bin];
      if (bin >= end) continue;
      found += this.#fired[bin];
      predicted += this.#all[bin];
    }
    return {
      recall: fired === 0 ? 1 : found / fired,
      precision: predicted === 0 ? 1 : found / predicted,
      predictedShare: all === 0 ? 0 : predicted / all,
      firedShare: all === 0 ? 0 : fired / all,
    };
  }
}

/** The bin of the smallest shift that predicts a neuron; the last one where none does. */
function binOf(score: number, hiddenMean: number): number {
  // All hidden units are silent: no shift changes anything.
  if (!(hiddenMean > 0)) return score >= 0 ? 0 : BINS - 1;
  const bin = Math.floor((SHIFT_MAX - score / hiddenMean) * BINS_PER_UNIT);
  return Math.max(0, Math.min(BINS - 1, bin));
}
