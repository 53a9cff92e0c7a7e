/**
 * Adaptive-p: prefers ids whose probability is near an aim, and moves the aim so that what was
 * drawn comes to it on the whole (llama.cpp's sampler `adaptive_p`). It draws from what the steps
 * left, in place of a draw by probability. Knows no text.
 */
import type { Candidates } from "./sampler_candidates.ts";

/** What is aimed at. */
export interface AdaptiveSettings {
  /** A probability. */
  readonly adaptiveTarget: number;
  /** What an id that was drawn counts beside the next one; below 1. */
  readonly adaptiveDecay: number;
}

export class AdaptiveP {
  readonly #settings: AdaptiveSettings;
  /** Sums over ids that were drawn of their probabilities, and of 1, each by its age. */
  readonly #drawnSum: Float64Array;
  readonly #ageSum: Float64Array;
  /** The probability of the id that was drawn last. */
  readonly #share = Float64Array.of(0);
  #drawn = -1;

  constructor(settings: AdaptiveSettings) {
    this.#settings = settings;
    // As if the aim had been met from the beginning.
    const age = 1 / (1 - settings.adaptiveDecay);
    this.#ageSum = Float64Array.of(age);
    this.#drawnSum = Float64Array.of(age * settings.adaptiveTarget);
  }

  /** Draws at `point` (in [0, 1)): there is one candidate at least. */
  draw(candidates: Candidates, point: number): number {
    const missed = this.#settings.adaptiveTarget - this.#drawnSum[0] / this.#ageSum[0];
    const aim = Math.min(1, Math.max(0, this.#settings.adaptiveTarget + missed));
    const id = candidates.pickNear(aim, point);
    this.#drawn = id;
    this.#share[0] = candidates.shareOf(id);
    return id;
  }

  /** The id that the answer goes on with: if it was drawn, its probability counts. */
  accept(id: number): void {
    if (id !== this.#drawn) return;
    const { adaptiveDecay } = this.#settings;
    this.#drawnSum[0] = this.#share[0] + adaptiveDecay * this.#drawnSum[0];
    this.#ageSum[0] = 1 + adaptiveDecay * this.#ageSum[0];
    this.#drawn = -1;
  }
}
