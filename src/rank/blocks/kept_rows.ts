/**
 * Last rows of the texts that are under way, which guesses are made of: of each sequence those of
 * its last positions, on the thread that leads; and a row that a guess has left, for the guess
 * behind it. Knows neither texts nor what rows are.
 */
import type { ModelConfig } from "../../model/types.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import { floats } from "../bound/arena_views.ts";
import { keptLength, keptRows } from "../plan/plan_guess.ts";

/** Positions of the slot's text that follow one another. */
export interface KeptSpan {
  readonly slot: number;
  readonly position: number;
  readonly count: number;
}

export class KeptRows {
  /** Which tokens the logits of guesses are of; null: all, in their order. */
  readonly tokens: Int32Array | null;
  readonly #rows: Float32Array;
  readonly #length: number;
  /** Positions of a sequence. */
  readonly #count: number;
  /** [sequences, count]: whose position's row is in each place; -1: nobody's. */
  readonly #positions: Int32Array;
  /** [chunkTokens]: the place of what each row of the next step is made of; -1: zeros. */
  readonly #sources: Int32Array;
  /** [d]: what the last guess has left; of fusions, whose rows here are others. */
  readonly #carried: Float32Array;

  /** memory: the leader's first arena. */
  constructor(
    plan: RankPlan,
    memory: WebAssembly.Memory,
    { config, tokens }: { readonly config: ModelConfig; readonly tokens: Int32Array | null },
  ) {
    const length = keptLength(config);
    const { sequences, chunkTokens, workspaces: [{ guess }] } = plan;
    this.tokens = tokens;
    this.#count = keptRows(chunkTokens);
    this.#length = length;
    this.#rows = floats(memory, guess!.rows, sequences * this.#count * length);
    this.#positions = new Int32Array(sequences * this.#count).fill(-1);
    this.#sources = new Int32Array(chunkTokens).fill(-1);
    this.#carried = new Float32Array(config.embeddingLength);
  }

  /** The slot has another text. */
  clear(slot: number): void {
    this.#positions.fill(-1, slot * this.#count, (slot + 1) * this.#count);
  }

  /**
   * Keeps `count` rows of the slot's text, from a position on: `rows[first …]`, stride apart; or
   * `length` numbers of each, from column `column` on.
   */
  keep(
    of: KeptSpan,
    rows: Float32Array,
    first: number,
    stride: number,
    column = 0,
    length = this.#length,
  ): void {
    const { slot, position, count } = of;
    for (let t = 0; t < count; t++) {
      const place = this.#placeOf(slot, position + t);
      const from = (first + t) * stride, to = place * this.#length + column;
      this.#positions[place] = position + t;
      // A view to copy from would be an object more for each row.
      for (let i = 0; i < length; i++) this.#rows[to + i] = rows[from + i];
    }
  }

  /** Keeps row `index` of what a guess has left, stride apart. */
  carry(rows: Float32Array, index: number, stride: number): void {
    const from = index * stride;
    for (let i = 0; i < this.#carried.length; i++) this.#carried[i] = rows[from + i];
  }

  /** Copies it to `to[0 …]`. */
  putCarried(to: Float32Array): void {
    for (let i = 0; i < this.#carried.length; i++) to[i] = this.#carried[i];
  }

  /** Row t of the next step is made of that of a position of the slot's text, if it is there. */
  use(t: number, slot: number, position: number): void {
    const place = position < 0 ? -1 : this.#placeOf(slot, position);
    this.#sources[t] = place < 0 || this.#positions[place] !== position ? -1 : place;
  }

  /** Copies what row t of the step is made of to `to[at …]`; where it is not there, nothing. */
  put(t: number, to: Float32Array, at: number): void {
    const from = this.#sources[t] * this.#length;
    if (from < 0) return;
    for (let i = 0; i < this.#length; i++) to[at + i] = this.#rows[from + i];
  }

  #placeOf(slot: number, position: number): number {
    return slot * this.#count + position % this.#count;
  }
}
