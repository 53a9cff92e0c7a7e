/**
 * The scores of one position, one per id of the vocabulary, where kernels can reach them, and the
 * passes over all of them. Knows nothing of where scores come from or of how an id is drawn.
 */
import { check } from "../base/check.ts";

/** The kernels that look at all scores; contracts: wasm/kernels.ts. */
export interface ScoreKernels {
  argmax_f32(x: number, n: number): number;
  top_k_f32(x: number, n: number, k: number, ids: number): number;
}

export interface ScoreBoardInput {
  /** Bound to `memory`. */
  readonly kernels: ScoreKernels;
  readonly memory: WebAssembly.Memory;
  readonly vocabSize: number;
  /** Where the scores are, f32 [vocabSize], in bytes. */
  readonly scoresAt: number;
  /** Room for the ids that are kept, u32 [vocabSize], in bytes. */
  readonly idsAt: number;
}

/** The best ids of a position, best first, of equal ones the smaller id. */
export interface BestScores {
  readonly count: number;
  /** [count] and more; of each id its score. */
  readonly ids: Int32Array;
  readonly logits: Float32Array;
}

/** So few ids are kept in order: what is kept of more is in none. */
export const ORDERED_MAX = 64;

export class ScoreBoard {
  /** [vocabSize], by id. Whoever has the board may write them. */
  readonly scores: Float32Array;
  /** [vocabSize], of which `keepLargest` fills the first; the rest is scratch. */
  readonly ids: Int32Array;
  readonly #input: ScoreBoardInput;
  /** The only ids whose scores are there; null: all. */
  #best: BestScores | null = null;

  constructor(input: ScoreBoardInput) {
    const { memory, vocabSize, scoresAt, idsAt } = input;
    check(vocabSize > 0, "a vocabulary has ids");
    this.scores = new Float32Array(memory.buffer, scoresAt, vocabSize);
    this.ids = new Int32Array(memory.buffer, idsAt, vocabSize);
    this.#input = input;
  }

  get vocabSize(): number {
    return this.#input.vocabSize;
  }

  /** All scores are there. */
  showAll(): void {
    this.#best = null;
  }

  /**
   * Only these scores are there, all of them numbers, until `showAll`: for who looks at no more
   * than ORDERED_MAX of the largest, and changes none.
   */
  showBest(best: BestScores): void {
    for (let i = 0; i < best.count; i++) this.scores[best.ids[i]] = best.logits[i];
    this.#best = best;
  }

  /** Puts -Infinity in the place of scores whose bit is not set in `mask` [⌈vocab / 32⌉]. */
  keepOnly(mask: Uint32Array): void {
    const { scores } = this;
    for (let word = 0; word < mask.length; word++) {
      const bits = mask[word];
      if (bits === 0xffffffff) continue;
      const first = 32 * word;
      if (bits === 0) {
        scores.fill(-Infinity, first, first + 32);
        continue;
      }
      const end = Math.min(first + 32, scores.length);
      for (let id = first; id < end; id++) {
        if ((bits >>> (id - first) & 1) === 0) scores[id] = -Infinity;
      }
    }
  }

  /** The first id of the largest score; the first that is no NaN when all are -Infinity or NaN. */
  largest(): number {
    const { kernels, scoresAt, vocabSize } = this.#input;
    if (this.#best !== null) return this.#best.ids[0];
    return kernels.argmax_f32(scoresAt, vocabSize);
  }

  /**
   * Fills `ids` with those of the `k` largest scores, the smaller id first in among equals; scores
   * that are NaN or -Infinity do not count. Of at most ORDERED_MAX the best comes first; the order
   * of more is the same for the same scores.
   * @returns how many they are, at most `k`, which is at most the vocabulary.
   */
  keepLargest(k: number): number {
    const { kernels, scoresAt, idsAt, vocabSize } = this.#input;
    check(k >= 1 && k <= vocabSize, "a choice is of one id or more");
    if (this.#best !== null) return this.#takeBest(this.#best, k);
    const count = kernels.top_k_f32(scoresAt, vocabSize, k, idsAt);
    if (k <= ORDERED_MAX) this.#order(count);
    return count;
  }

  #takeBest({ ids, count }: BestScores, k: number): number {
    check(k <= ORDERED_MAX, "no more is known than the best ones");
    const taken = Math.min(k, count);
    for (let i = 0; i < taken; i++) this.ids[i] = ids[i];
    return taken;
  }

  /** The first `count` ids, the best one first: by insertion, for they are few. */
  #order(count: number): void {
    const { ids, scores } = this;
    for (let i = 1; i < count; i++) {
      const id = ids[i];
      const score = scores[id];
      let at = i;
      for (; at > 0; at--) {
        const other = ids[at - 1];
        if (scores[other] > score || scores[other] === score && other < id) break;
        ids[at] = other;
      }
      ids[at] = id;
    }
  }
}
