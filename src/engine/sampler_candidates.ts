/**
 * The ids that may still be chosen, narrowed step by step. Every step sees the probabilities of
 * what the step before it left, summing to 1, at temperature 1. Works on scores; knows nothing of
 * penalties, seeds or text. Nothing here allocates after the constructor.
 */
import { ORDERED_MAX, type ScoreBoard } from "./score_board.ts";

/** A set of ids of a board, with their scores. */
export class Candidates {
  readonly #board: ScoreBoard;
  /** The candidates are ids[0 .. count); the rest is scratch. They lie on the board. */
  readonly #ids: Int32Array;
  readonly #scores: Float32Array;
  /** [countMax]. */
  readonly #weights: Float64Array;
  /** How typical each id is, by id; made for `keepTypical` only. */
  readonly #typicality: Float32Array;
  #count = 0;
  #best = -Infinity;
  /** The best one comes first. */
  #isOrdered = false;

  /** At most `countMax` candidates, itself at most the vocabulary, at a time. */
  constructor(board: ScoreBoard, options: { countMax: number; typical: boolean }) {
    this.#board = board;
    this.#ids = board.ids;
    this.#scores = board.scores;
    this.#weights = new Float64Array(options.countMax);
    this.#typicality = new Float32Array(options.typical ? board.vocabSize : 0);
  }

  get count(): number {
    return this.#count;
  }

  /** Starts over with the `countMax` best of the ids whose score is a number above -Infinity. */
  reset(): void {
    this.#isOrdered = this.#weights.length <= ORDERED_MAX;
    this.#keep(this.#board.keepLargest(this.#weights.length));
  }

  /** Keeps the best ones whose probabilities just reach `mass`. */
  keepTopP(mass: number): void {
    const needed = mass * this.#totalWeight();
    if (this.#isOrdered) this.#keepFirst(needed);
    else this.#keepMass(this.#scores, needed);
  }

  /**
   * Keeps the ones whose surprise -ln p is nearest to the expected one, until they reach `mass`
   * (Meister et al. 2022, "Locally Typical Sampling").
   */
  keepTypical(mass: number): void {
    const total = this.#totalWeight();
    let weighted = 0;
    for (let i = 0; i < this.#count; i++) {
      const weight = this.#weight(this.#ids[i]);
      if (weight > 0) weighted += weight * this.#behindBest(this.#ids[i]);
    }
    // With ln p = behind - ln(total), the expected surprise is ln(total) - weighted / total: the
    // distance between the two is free of ln(total).
    for (let i = 0; i < this.#count; i++) {
      const id = this.#ids[i];
      this.#typicality[id] = -Math.abs(weighted / total - this.#behindBest(id));
    }
    this.#keepMass(this.#typicality, mass * total);
    this.#isOrdered = false;
  }

  /** Keeps the ones at least `share` times as likely as the best. */
  keepMinP(share: number): void {
    let count = 0;
    for (let i = 0; i < this.#count; i++) {
      const id = this.#ids[i];
      if (this.#weight(id) >= share) this.#ids[count++] = id;
    }
    this.#keep(count);
  }

  /**
   * The candidate at `point` (in [0, 1)) of the distribution at `temperature` (above 0). There must
   * be a candidate.
   */
  pick(temperature: number, point: number): number {
    const weights = this.#weights;
    let total = 0;
    for (let i = 0; i < this.#count; i++) {
      weights[i] = Math.exp(this.#behindBest(this.#ids[i]) / temperature);
      total += weights[i];
    }
    let rest = point * total;
    let chosen = 0;
    for (let i = 0; i < this.#count && rest >= 0; i++) {
      if (weights[i] === 0) continue; // can only be the answer by rounding: it must not be
      chosen = i;
      rest -= weights[i];
    }
    return this.#ids[chosen];
  }

  /** Keeps the first ones until their weights reach `mass`; one at least. */
  #keepFirst(mass: number): void {
    let missing = Math.max(mass, Number.MIN_VALUE);
    let count = 0;
    while (missing > 0 && count < this.#count) missing -= this.#weight(this.#ids[count++]);
    this.#keep(count);
  }

  /**
   * Keeps the ids with the largest keys until their weights reach `mass`; one at least. A
   * quickselect that counts weights: takes time proportional to the candidates, sorts nothing.
   */
  #keepMass(keys: Float32Array, mass: number): void {
    const ids = this.#ids;
    let missing = Math.max(mass, Number.MIN_VALUE); // the best one is in whatever the mass
    // Before `from` all are in, from `to` on all are out, and every key in is above every key out.
    let from = 0;
    let to = this.#count;
    while (missing > 0 && from < to) {
      const pivot = movePivotToEnd(ids, from, to, keys);
      let split = from;
      let weightAbove = 0;
      for (let i = from; i < to - 1; i++) {
        if (!isLarger(keys, ids[i], pivot)) continue;
        weightAbove += this.#weight(ids[i]);
        swap(ids, split++, i);
      }
      swap(ids, split, to - 1);
      if (weightAbove >= missing) {
        to = split;
      } else {
        missing -= weightAbove + this.#weight(pivot);
        from = split + 1;
      }
    }
    this.#keep(from);
  }

  #keep(count: number): void {
    this.#count = count;
    this.#best = -Infinity;
    for (let i = 0; i < count; i++) this.#best = Math.max(this.#best, this.#scores[this.#ids[i]]);
  }

  #totalWeight(): number {
    let total = 0;
    for (let i = 0; i < this.#count; i++) total += this.#weight(this.#ids[i]);
    return total;
  }

  /** The probability of `id` over that of the best. */
  #weight(id: number): number {
    return Math.exp(this.#behindBest(id));
  }

  /** The score of `id` less the best one, at most 0; also where both are infinite. */
  #behindBest(id: number): number {
    const score = this.#scores[id];
    return score === this.#best ? 0 : score - this.#best;
  }
}

/** Moves the median of the first, middle and last of ids[from .. to) to their end; returns it. */
function movePivotToEnd(ids: Int32Array, from: number, to: number, keys: Float32Array): number {
  const middle = (from + to) >> 1;
  const last = to - 1;
  if (isLarger(keys, ids[middle], ids[from])) swap(ids, middle, from);
  if (isLarger(keys, ids[last], ids[from])) swap(ids, last, from);
  if (isLarger(keys, ids[last], ids[middle])) swap(ids, last, middle);
  swap(ids, middle, last);
  return ids[last];
}

function isLarger(keys: Float32Array, a: number, b: number): boolean {
  return keys[a] > keys[b] || keys[a] === keys[b] && a < b;
}

function swap(ids: Int32Array, a: number, b: number): void {
  const id = ids[a];
  ids[a] = ids[b];
  ids[b] = id;
}
