/**
 * Which experts each token uses, from the router's logits: pure arithmetic, the same on every rank.
 * Allocates nothing after it was made. Knows no weights and no kernels.
 */
import type { ExpertsConfig } from "../../model/types.ts";

/** Weights whose sum is smaller are divided by this, as llama.cpp does: the smallest normal f16. */
const WEIGHT_SUM_MIN = 2 ** -14;

/** Where a mixture's routes are written: by expert, then by token; then those to companions. */
export interface Routes {
  /** Tokens, u32 [tokens · routes of a token]. */
  readonly rows: Uint32Array;
  /** What each counts there, f32 [tokens · routes of a token]. */
  readonly weights: Float32Array;
}

/** What a layer's experts have each, [experts], or null. */
export interface ExpertFactors {
  readonly choiceBias: Float32Array | null;
  /** [vocab, used]: the experts that tokens use; left out or null: they choose. */
  readonly expertsOfTokens?: Float32Array | null;
  readonly scales: Float32Array | null;
  /** How many of them a token uses, at most as many as the model's; left out: so many. */
  readonly usedCount?: number;
}

export class Routing {
  /**
   * Routes of expert e are number starts[e] .. starts[e + 1] - 1, those of companion g so with
   * e = experts + g.
   */
  readonly starts: Int32Array;
  readonly #config: ExpertsConfig;
  /** Of the layer that chose last. */
  #usedCount: number;
  /** Of one token, [experts]: what weights are made of, and what the choice looks at. */
  readonly #probabilities: Float64Array;
  readonly #scores: Float64Array;
  /** Of all tokens, [tokens, usedCount]. */
  readonly #chosen: Int32Array;
  readonly #weights: Float64Array;
  readonly #next: Int32Array;
  /** Of one token, [groups]: the sums of the two best scores of each. */
  readonly #groups: Float64Array | null;

  /** Of a step's tokens; null: nobody knows, and all choose. */
  readonly #ids: Int32Array | null;

  constructor(config: ExpertsConfig, chunkTokens: number, ids: Int32Array | null = null) {
    this.#ids = ids;
    this.#config = config;
    this.#usedCount = config.usedCount;
    const groupCount = config.companions ? config.count / config.companions.groupSize : 0;
    this.starts = new Int32Array(config.count + groupCount + 1);
    this.#probabilities = new Float64Array(config.count);
    this.#scores = new Float64Array(config.count);
    this.#chosen = new Int32Array(chunkTokens * config.usedCount);
    this.#weights = new Float64Array(chunkTokens * config.usedCount);
    this.#next = new Int32Array(config.count + groupCount);
    this.#groups = config.groups ? new Float64Array(config.groups.count) : null;
  }

  /** How many experts a token uses of the layer that chose last. */
  get usedCount(): number {
    return this.#usedCount;
  }

  /**
   * Chooses for n tokens and sorts their routes by expert.
   * @param logits [n, experts]
   * @param choiceBias [experts], added for the choice only, or null.
   * @param scales     [experts], multiply what each counts, or null.
   */
  route(logits: Float32Array, n: number, by: ExpertFactors, to: Routes): void {
    const { choiceBias, scales, expertsOfTokens: table = null } = by;
    this.#usedCount = by.usedCount ?? this.#config.usedCount;
    const ids = table === null ? null : this.#ids;
    for (let t = 0; t < n; t++) {
      this.#rate(logits, t, choiceBias);
      if (this.#groups !== null) this.#closeGroups();
      // Rows that are no token's choose.
      if (ids === null || ids[t] < 0) this.#choose(t);
      else this.#takeListed(t, table!, ids[t]);
      this.#weigh(t);
    }
    this.#sort(n, scales, to);
  }

  /**
   * The routes that were chosen last, by token, as a GPU reads them: expert and what it counts, of
   * n tokens. scales: as of `route`.
   * @param experts u32 [n, usedCount, 2], of which every other word is written.
   * @param weights the same bytes as f32, of which the others are.
   */
  writeByToken(
    n: number,
    scales: Float32Array | null,
    experts: Uint32Array,
    weights: Float32Array,
  ): void {
    const routes = n * this.#usedCount;
    for (let j = 0; j < routes; j++) {
      const expert = this.#chosen[j];
      experts[2 * j] = expert;
      weights[2 * j + 1] = scales === null ? this.#weights[j] : this.#weights[j] * scales[expert];
    }
  }

  /** probabilities and scores of token t's experts. */
  #rate(logits: Float32Array, t: number, choiceBias: Float32Array | null): void {
    const { count, gating } = this.#config;
    const probabilities = this.#probabilities;
    const first = t * count;
    if (gating === "softmax") {
      let largest = -Infinity;
      for (let e = 0; e < count; e++) largest = Math.max(largest, logits[first + e]);
      let sum = 0;
      for (let e = 0; e < count; e++) {
        sum += probabilities[e] = Math.exp(logits[first + e] - largest);
      }
      for (let e = 0; e < count; e++) probabilities[e] /= sum;
    } else if (gating === "sigmoid") {
      for (let e = 0; e < count; e++) probabilities[e] = 1 / (1 + Math.exp(-logits[first + e]));
    } else if (gating === "rootSoftplus") {
      for (let e = 0; e < count; e++) {
        const x = logits[first + e];
        probabilities[e] = Math.sqrt(Math.max(0, x) + Math.log1p(Math.exp(-Math.abs(x))));
      }
    } else {
      for (let e = 0; e < count; e++) probabilities[e] = logits[first + e];
    }
    for (let e = 0; e < count; e++) {
      this.#scores[e] = probabilities[e] + (choiceBias === null ? 0 : choiceBias[e]);
    }
  }

  /** Experts of groups that are not used are out of the choice; the lower index among equals. */
  #closeGroups(): void {
    const groups = this.#groups!, scores = this.#scores;
    const { count } = this.#config;
    const { usedCount } = this.#config.groups!;
    const size = count / groups.length;
    for (let group = 0; group < groups.length; group++) {
      let best = -Infinity, second = -Infinity;
      for (let e = group * size; e < (group + 1) * size; e++) {
        const score = scores[e];
        if (score > best) [best, second] = [score, best];
        else if (score > second) second = score;
      }
      groups[group] = best + second;
    }
    for (let group = 0; group < groups.length; group++) {
      let better = 0;
      for (let other = 0; other < groups.length; other++) {
        if (groups[other] > groups[group] || groups[other] === groups[group] && other < group) {
          better++;
        }
      }
      if (better >= usedCount) scores.fill(-Infinity, group * size, (group + 1) * size);
    }
  }

  /** The usedCount experts with the highest scores, in order; the lower index among equals. */
  #choose(t: number): void {
    const { count } = this.#config, usedCount = this.#usedCount;
    const scores = this.#scores;
    const chosen = this.#chosen;
    const first = t * usedCount;
    const last = first + usedCount - 1;
    let end = first;
    for (let e = 0; e < count; e++) {
      const score = scores[e];
      if (end > last && !(score > scores[chosen[last]])) continue;
      let place = end > last ? last : end++;
      for (; place > first && score > scores[chosen[place - 1]]; place--) {
        chosen[place] = chosen[place - 1];
      }
      chosen[place] = e;
    }
  }

  /** Those of a token's row in a table. */
  #takeListed(t: number, table: Float32Array, id: number): void {
    const usedCount = this.#usedCount;
    for (let j = 0; j < usedCount; j++) {
      this.#chosen[t * usedCount + j] = table[id * usedCount + j];
    }
  }

  /** What token t's chosen experts count. */
  #weigh(t: number): void {
    const { gating, normalizesWeights, weightScale } = this.#config;
    const usedCount = this.#usedCount;
    const first = t * usedCount;
    const best = this.#probabilities[this.#chosen[first]];
    let sum = 0;
    for (let j = first; j < first + usedCount; j++) {
      const own = this.#probabilities[this.#chosen[j]];
      // Any of the chosen will do to subtract: without a bias the first is the largest.
      sum += this.#weights[j] = gating === "softmaxOfChosen" ? Math.exp(own - best) : own;
    }
    const divides = normalizesWeights || gating === "softmaxOfChosen";
    const factor = weightScale / (divides ? Math.max(sum, WEIGHT_SUM_MIN) : 1);
    for (let j = first; j < first + usedCount; j++) this.#weights[j] *= factor;
  }

  /** Counting sort by expert; tokens stay in order. */
  #sort(n: number, scales: Float32Array | null, to: Routes): void {
    const { count } = this.#config, usedCount = this.#usedCount;
    const routes = n * usedCount;
    const next = this.#next.fill(0);
    for (let j = 0; j < routes; j++) next[this.#chosen[j]]++;
    let start = 0;
    for (let e = 0; e < count; e++) {
      this.starts[e] = start;
      start += next[e];
      next[e] = this.starts[e];
    }
    this.starts[count] = start;
    for (let j = 0; j < routes; j++) {
      const expert = this.#chosen[j];
      const place = next[expert]++;
      to.rows[place] = Math.floor(j / usedCount);
      to.weights[place] = scales === null ? this.#weights[j] : this.#weights[j] * scales[expert];
    }
    if (this.#config.companions !== undefined) this.#accompany(n, to);
  }

  /**
   * The same for companions. Where a token uses several experts of a group there is one route, by
   * which the companion counts as much as for all of them.
   */
  #accompany(n: number, to: Routes): void {
    const { count } = this.#config, usedCount = this.#usedCount;
    const { weight } = this.#config.companions!;
    const next = this.#next;
    for (let j = 0; j < n * usedCount; j++) {
      if (this.#isFirstOfGroup(j)) next[this.#groupOf(j)]++;
    }
    let start = this.starts[count];
    for (let e = count; e < next.length; e++) {
      this.starts[e] = start;
      start += next[e];
      next[e] = this.starts[e];
    }
    this.starts[next.length] = start;
    for (let j = 0; j < n * usedCount; j++) {
      if (!this.#isFirstOfGroup(j)) continue;
      const group = this.#groupOf(j);
      const end = j - j % usedCount + usedCount;
      let sum = 0;
      for (let other = j; other < end; other++) {
        if (this.#groupOf(other) === group) sum += this.#weights[other];
      }
      const place = next[group]++;
      to.rows[place] = Math.floor(j / usedCount);
      to.weights[place] = weight * sum;
    }
  }

  /** Where routes of the group of the step's j-th choice are counted: behind the experts. */
  #groupOf(j: number): number {
    const { count, companions } = this.#config;
    return count + Math.floor(this.#chosen[j] / companions!.groupSize);
  }

  /** No choice of the same token before it is of the same group. */
  #isFirstOfGroup(j: number): boolean {
    const group = this.#groupOf(j);
    for (let other = j - j % this.#usedCount; other < j; other++) {
      if (this.#groupOf(other) === group) return false;
    }
    return true;
  }
}
