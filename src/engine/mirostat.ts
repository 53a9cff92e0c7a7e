/**
 * Mirostat: leaves out what would be more surprising than an answer should be, and learns from what
 * was drawn how much that is (Basu et al. 2021, "Mirostat: A Neural Text Decoding Algorithm that
 * Directly Controls Perplexity"; version 2 cuts by surprise itself instead of by an estimate of how
 * many ids that are). Knows no text.
 */
import type { Candidates } from "./sampler_candidates.ts";

/** What is aimed at. */
export interface MirostatSettings {
  readonly mirostat: number;
  /** In bits. */
  readonly mirostatTau: number;
  readonly mirostatEta: number;
}

/** Ids whose probabilities tell how fast they fall. */
const LOOKED_AT = 100;

export class Mirostat {
  readonly #settings: MirostatSettings;
  readonly #vocabSize: number;
  /** The largest surprise of an id, and that of the one that was drawn last; bits. */
  readonly #bits: Float64Array;
  #drawn = -1;

  constructor(vocabSize: number, settings: MirostatSettings) {
    this.#settings = settings;
    this.#vocabSize = vocabSize;
    this.#bits = Float64Array.of(2 * settings.mirostatTau, 0);
  }

  /** Draws at `point` (in [0, 1)) of all ids at `temperature` (above 0): there is one at least. */
  draw(candidates: Candidates, temperature: number, point: number): number {
    if (this.#settings.mirostat === 1) {
      candidates.reset(Math.min(LOOKED_AT, this.#vocabSize));
      const fall = candidates.fall(temperature);
      candidates.reset(this.#countOf(fall));
      candidates.temper(temperature);
    } else {
      candidates.reset(this.#vocabSize);
      candidates.temper(temperature);
      candidates.keepShare(2 ** -this.#bits[0]);
    }
    const id = candidates.pick(point);
    this.#drawn = id;
    this.#bits[1] = -Math.log2(candidates.shareOf(id));
    return id;
  }

  /** The id that the answer goes on with: if it was drawn, its surprise is learnt from. */
  accept(id: number): void {
    if (id !== this.#drawn) return;
    const { mirostatTau, mirostatEta } = this.#settings;
    this.#bits[0] -= mirostatEta * (this.#bits[1] - mirostatTau);
  }

  /** How many ids make the largest surprise, where probabilities are 1 / rank ** fall. */
  #countOf(fall: number): number {
    const excess = fall - 1;
    const all = 1 - this.#vocabSize ** -excess;
    const count = Math.floor((excess * 2 ** this.#bits[0] / all) ** (1 / fall));
    return count >= 1 ? Math.min(count, this.#vocabSize) : 1;
  }
}
