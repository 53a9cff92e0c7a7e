/**
 * Log probabilities of an answer in shared memory: the engine's thread writes a row per id before
 * it announces the id, the main thread reads it after. Nothing is posted, or allocated per token.
 */
import type { TokenLogprobs } from "../llm/types.ts";
import type { ScoreBoard } from "./score_board.ts";
import { comesFirst, logSumExp } from "./log_probability.ts";

/** Most alternatives of an id. */
export const LOGPROBS_TOP_MAX = 20;

/** Room for the log probabilities of an answer, as it is sent with a request. */
export interface LogprobRows {
  /** Alternatives beside each id, 0..20. */
  readonly top: number;
  /** [ids of the answer][1 + 2 · top] words: ln p of the id; ids and ln p of the likeliest. */
  readonly words: SharedArrayBuffer;
}

/** Room for an answer of at most `tokensMax` ids. */
export function createLogprobRows(top: number, tokensMax: number): LogprobRows {
  return { top, words: new SharedArrayBuffer(4 * (1 + 2 * top) * tokensMax) };
}

/** The log probabilities of the answer's id of this index. */
export function readLogprobs(
  { top, words }: LogprobRows,
  of: { readonly index: number; readonly id: number },
): TokenLogprobs {
  const at = 4 * (1 + 2 * top) * of.index;
  const [logprob, ...likely] = new Float32Array(words, at, 1 + top);
  const ids = new Int32Array(words, at + 4 * (1 + top), top);
  return {
    id: of.id,
    logprob,
    top: likely.flatMap((logprob, i) => ids[i] < 0 ? [] : [{ id: ids[i], logprob }]),
  };
}

/**
 * Writes an answer's rows. They are of the model's own distribution, as clients expect: the softmax
 * of the logits before penalties, biases and grammars change them, and without temperature.
 */
export class LogprobRecorder {
  readonly #top: number;
  readonly #board: ScoreBoard;
  readonly #logprobs: Float32Array;
  readonly #ids: Int32Array;
  /** [vocab]: logits as they were. */
  readonly #logits: Float32Array;
  #logSum = 0;
  #count = 0;

  /** scratch: [vocab], the recorder's from `look` to `record`. */
  constructor({ top, words }: LogprobRows, board: ScoreBoard, scratch: Float32Array) {
    this.#top = top;
    this.#board = board;
    this.#logprobs = new Float32Array(words);
    this.#ids = new Int32Array(words);
    this.#logits = scratch;
  }

  /** Looks at the logits on the board, before anybody changes them. */
  look(): void {
    this.#logits.set(this.#board.scores);
    this.#logSum = logSumExp(this.#logits);
    if (this.#top === 0) return;
    const count = this.#board.keepLargest(Math.min(this.#top, this.#board.vocabSize));
    const { ids } = this.#board;
    const logits = this.#logits;
    const row = this.#row;
    for (let i = 0; i < this.#top; i++) {
      const id = i < count ? ids[i] : -1;
      // The board gives them in no order; few are put in theirs as they come.
      let place = i;
      if (id >= 0) {
        while (place > 0 && comesFirst(logits, id, this.#ids[row + this.#top + place])) {
          this.#ids[row + 1 + this.#top + place] = this.#ids[row + this.#top + place];
          place--;
        }
      }
      this.#ids[row + 1 + this.#top + place] = id;
    }
    for (let i = 0; i < count; i++) {
      this.#logprobs[row + 1 + i] = logits[this.#ids[row + 1 + this.#top + i]] - this.#logSum;
    }
  }

  /** Writes down how likely the chosen id was; the next look is for the next one. */
  record(id: number): void {
    this.#logprobs[this.#row] = this.#logits[id] - this.#logSum;
    this.#count++;
  }

  get #row(): number {
    return (1 + 2 * this.#top) * this.#count;
  }
}
