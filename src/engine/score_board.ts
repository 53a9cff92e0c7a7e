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

export class ScoreBoard {
  /** [vocabSize], by id. Whoever has the board may write them. */
  readonly scores: Float32Array;
  /** [vocabSize], of which `keepLargest` fills the first; the rest is scratch. */
  readonly ids: Int32Array;
  readonly #input: ScoreBoardInput;

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
    return kernels.argmax_f32(scoresAt, vocabSize);
  }

  /**
   * Fills `ids` with those of the `k` largest scores, the smaller id first in among equals; scores
   * that are NaN or -Infinity do not count. The order is the same for the same scores.
   * @returns how many they are, at most `k`, which is at most the vocabulary.
   */
  keepLargest(k: number): number {
    const { kernels, scoresAt, idsAt, vocabSize } = this.#input;
    check(k >= 1 && k <= vocabSize, "a choice is of one id or more");
    return kernels.top_k_f32(scoresAt, vocabSize, k, idsAt);
  }
}
