/**
 * The ids that may still be chosen, narrowed step by step. Every step sees the probabilities of
 * what the step before it left, summing to 1, at temperature 1 until a step gives another one.
 * Works on scores; knows nothing of penalties, seeds or text. Nothing here allocates after the
 * constructor.
 */
import { comesFirst } from "./log_probability.ts";
import { ORDERED_MAX, type ScoreBoard } from "./score_board.ts";

/** Of adaptive-p, as llama.cpp has them: what counts as near, and how fast what is not falls. */
const NEAR_WIDTH = 0.3;
const NEAR_SHARPNESS = 10;

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
  /** [1]: by what logits are divided. */
  readonly #temperature = Float64Array.of(1);
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

  /**
   * Starts over with the `count` best (left out: `countMax`) of the ids whose score is a number
   * above -Infinity, at temperature 1.
   */
  reset(count = this.#weights.length): void {
    this.#temperature[0] = 1;
    this.#isOrdered = count <= ORDERED_MAX;
    this.#keep(this.#board.keepLargest(count));
  }

  /** Keeps the `count` best ones. */
  keepLargest(count: number): void {
    if (this.#isOrdered) this.#keep(Math.min(count, this.#count));
    else if (count < this.#count) this.#keepMass(this.#scores, count, true);
  }

  /**
   * Keeps the ones whose score is at most `count` standard deviations of all scores below the best
   * (Tang et al. 2024, "Top-nσ").
   */
  keepNSigma(count: number): void {
    let sum = 0;
    for (let i = 0; i < this.#count; i++) sum += this.#behindBest(this.#ids[i]);
    const mean = sum / this.#count;
    let squares = 0;
    for (let i = 0; i < this.#count; i++) {
      squares += (this.#behindBest(this.#ids[i]) - mean) ** 2;
    }
    const least = -count * Math.sqrt(squares / this.#count);
    let kept = 0;
    for (let i = 0; i < this.#count; i++) {
      const id = this.#ids[i];
      // Nothing is left out where a score is infinite, and so the deviation.
      if (!(this.#behindBest(id) < least)) this.#ids[kept++] = id;
    }
    this.#keep(kept);
  }

  /**
   * Leaves out those of at least `threshold` of the probability, but the least likely of them
   * ("exclude top choices").
   */
  dropTop(threshold: number): void {
    const needed = threshold * this.#totalWeight();
    let spared = -1;
    let top = 0;
    for (let i = 0; i < this.#count; i++) {
      const id = this.#ids[i];
      if (this.#weight(id) < needed) continue;
      top++;
      if (spared < 0 || comesFirst(this.#scores, spared, id)) spared = id;
    }
    if (top < 2) return;
    let kept = 0;
    for (let i = 0; i < this.#count; i++) {
      const id = this.#ids[i];
      if (id === spared || this.#weight(id) < needed) this.#ids[kept++] = id;
    }
    this.#keep(kept);
  }

  /** Keeps the ones of at least `share` of the probability; the best one in any case. */
  keepShare(share: number): void {
    const needed = Math.min(share * this.#totalWeight(), 1);
    this.keepMinP(needed);
  }

  /** The probability of `id`, which is one of them. */
  shareOf(id: number): number {
    return this.#weight(id) / this.#totalWeight();
  }

  /** From here on logits are divided by `temperature` (above 0), too. */
  temper(temperature: number): void {
    this.#temperature[0] *= temperature;
  }

  /**
   * How unsure the choice is: the entropy of the probabilities over that of as many equal ones; 0
   * where there is one.
   */
  uncertainty(): number {
    if (this.#count <= 1) return 0;
    const total = this.#totalWeight();
    let entropy = 0;
    for (let i = 0; i < this.#count; i++) {
      const share = this.#weight(this.#ids[i]) / total;
      if (share > 0) entropy -= share * Math.log(share);
    }
    return entropy / Math.log(this.#count);
  }

  /**
   * How fast probabilities at `temperature` fall with the rank, as the exponent of a power law: by
   * least squares through neighbours of at most some hundred candidates, which this sorts. NaN of
   * one candidate.
   */
  fall(temperature: number): number {
    const { ids, scores } = this.#board;
    sortByScore(ids, this.#count, scores);
    let products = 0;
    let squares = 0;
    for (let i = 0; i + 1 < this.#count; i++) {
      const step = Math.log((i + 2) / (i + 1));
      products += step * (scores[ids[i]] - scores[ids[i + 1]]) / temperature;
      squares += step * step;
    }
    return products / squares;
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
      if (weight > 0) weighted += weight * this.#exponent(this.#ids[i]);
    }
    // With ln p = behind - ln(total), the expected surprise is ln(total) - weighted / total: the
    // distance between the two is free of ln(total).
    for (let i = 0; i < this.#count; i++) {
      const id = this.#ids[i];
      this.#typicality[id] = -Math.abs(weighted / total - this.#exponent(id));
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

  /** The candidate at `point` (in [0, 1)) of the distribution. There must be one. */
  pick(point: number): number {
    const weights = this.#weights;
    for (let i = 0; i < this.#count; i++) weights[i] = this.#weight(this.#ids[i]);
    return this.#pickBy(weights, point);
  }

  /**
   * The candidate at `point` (in [0, 1)) of another distribution: the nearer a candidate's
   * probability is to `share` the likelier it is. Near by, what is left falls with the square of
   * the distance, farther off by a constant factor.
   */
  pickNear(share: number, point: number): number {
    const weights = this.#weights;
    const total = this.#totalWeight();
    for (let i = 0; i < this.#count; i++) {
      const widths = Math.abs(this.#weight(this.#ids[i]) / total - share) / NEAR_WIDTH;
      weights[i] = Math.exp(-NEAR_SHARPNESS * widths * widths / (1 + widths));
    }
    return this.#pickBy(weights, point);
  }

  /** The candidate at `point` of weights, of which one at least is not 0. */
  #pickBy(weights: Float64Array, point: number): number {
    let total = 0;
    for (let i = 0; i < this.#count; i++) total += weights[i];
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
   * Keeps the ids with the largest keys until their weights (or each as 1) reach `mass`; one at
   * least. A quickselect that counts weights: takes time proportional to the candidates, sorts
   * nothing.
   */
  #keepMass(keys: Float32Array, mass: number, countsEach = false): void {
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
        if (!comesFirst(keys, ids[i], pivot)) continue;
        weightAbove += countsEach ? 1 : this.#weight(ids[i]);
        swap(ids, split++, i);
      }
      swap(ids, split, to - 1);
      if (weightAbove >= missing) {
        to = split;
      } else {
        missing -= weightAbove + (countsEach ? 1 : this.#weight(pivot));
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
    return Math.exp(this.#exponent(id));
  }

  /** ln of the probability of `id` over that of the best. */
  #exponent(id: number): number {
    return this.#behindBest(id) / this.#temperature[0];
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
  if (comesFirst(keys, ids[middle], ids[from])) swap(ids, middle, from);
  if (comesFirst(keys, ids[last], ids[from])) swap(ids, last, from);
  if (comesFirst(keys, ids[last], ids[middle])) swap(ids, last, middle);
  swap(ids, middle, last);
  return ids[last];
}

/** Puts the first `count` ids, few of them, into the order of their scores, the best one first. */
function sortByScore(ids: Int32Array, count: number, scores: Float32Array): void {
  for (let i = 1; i < count; i++) {
    const id = ids[i];
    let at = i;
    for (; at > 0 && comesFirst(scores, id, ids[at - 1]); at--) ids[at] = ids[at - 1];
    ids[at] = id;
  }
}

function swap(ids: Int32Array, a: number, b: number): void {
  const id = ids[a];
  ids[a] = ids[b];
  ids[b] = id;
}
