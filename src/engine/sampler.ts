/**
 * Chooses the next id from logits. Works on ids and numbers; knows nothing of text or of how the
 * logits came to be.
 *
 * The order of the steps is llama.cpp's: penalties, bias, top-k, typical, top-p, min-p,
 * temperature, then one draw. The steps before the temperature therefore see the probabilities as
 * the model gives them, and a hot temperature spreads the draw over what they left.
 */
import { check } from "../base/check.ts";
import type { SamplingOptions } from "../llm/types.ts";
import { Candidates } from "./sampler_candidates.ts";
import { randomSeed, SeededRandom } from "./sampler_random.ts";
import { RecentIds } from "./sampler_recent_ids.ts";

/** The sampler of one request. Allocates nothing per token. */
export class Sampler {
  /** Repeats this request's ids when given as `SamplingOptions.seed`. */
  readonly seed: number;
  readonly #settings: Settings;
  readonly #random: SeededRandom;
  readonly #candidates: Candidates;
  /** What the penalties look at; null when none is on. */
  readonly #recent: RecentIds | null;
  /** The logits with penalties and bias; empty when there are none. */
  readonly #adjusted: Float32Array<ArrayBuffer>;
  readonly #vocabSize: number;

  /** Options out of range count as the nearest in range or as off; biases of unknown ids do not. */
  constructor(options: SamplingOptions, vocabSize: number) {
    check(vocabSize > 0, "a vocabulary has ids");
    const settings = readSettings(options, vocabSize);
    this.seed = options.seed ?? randomSeed();
    this.#settings = settings;
    this.#random = new SeededRandom(this.seed);
    this.#vocabSize = vocabSize;
    this.#candidates = new Candidates(vocabSize, { typical: settings.typicalP < 1 });
    this.#recent = hasPenalties(settings) ? new RecentIds(vocabSize, settings.repeatLastN) : null;
    const isAdjusted = this.#recent !== null || settings.biasIds.length > 0;
    this.#adjusted = new Float32Array(isAdjusted ? vocabSize : 0);
  }

  /** Tells the penalties of an id of the prompt or the answer, in order. */
  accept(id: number): void {
    check(Number.isInteger(id) && id >= 0 && id < this.#vocabSize, `no id ${id}`);
    this.#recent?.add(id);
  }

  /**
   * The id to go on with; the caller accepts it if it does. An id whose logit is NaN is never
   * chosen while there is another; nor is one of -Infinity.
   *
   * @param logits [vocabSize], left as they are.
   */
  sample(logits: Float32Array): number {
    check(logits.length === this.#vocabSize, `${logits.length} logits of ${this.#vocabSize}`);
    const { temperature, topK, typicalP, topP, minP } = this.#settings;
    const scores = this.#adjust(logits);
    if (temperature === 0) return indexOfLargest(scores);

    const candidates = this.#candidates;
    candidates.reset(scores);
    if (candidates.count === 0) return indexOfLargest(scores);
    candidates.keepTopK(topK);
    if (typicalP < 1) candidates.keepTypical(typicalP);
    if (topP < 1) candidates.keepTopP(topP);
    if (minP > 0) candidates.keepMinP(minP);
    return candidates.pick(temperature, this.#random.next());
  }

  /** The logits themselves, or a copy with penalties and bias. */
  #adjust(logits: Float32Array): Float32Array {
    const scores = this.#adjusted;
    if (scores.length === 0) return logits;
    scores.set(logits);
    if (this.#recent) penalise(scores, this.#recent, this.#settings);
    const { biasIds, biases } = this.#settings;
    for (let i = 0; i < biasIds.length; i++) scores[biasIds[i]] += biases[i];
    return scores;
  }
}

/** Every option with its default filled in and forced into range. */
interface Settings {
  readonly temperature: number;
  readonly topK: number;
  readonly typicalP: number;
  readonly topP: number;
  readonly minP: number;
  readonly repeatPenalty: number;
  /** -1 = all. */
  readonly repeatLastN: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  readonly biasIds: Int32Array;
  readonly biases: Float64Array;
}

function readSettings(options: SamplingOptions, vocabSize: number): Settings {
  const topK = Math.floor(options.topK ?? 40);
  const bias = [...options.logitBias ?? []].filter(([id]) =>
    Number.isInteger(id) && id >= 0 && id < vocabSize
  );
  const { repeatPenalty = 1 } = options;
  return {
    // Finite, so that an infinite distance from the best stays infinite.
    temperature: clamp(options.temperature ?? 0.8, 0, Number.MAX_VALUE),
    topK: topK > 0 ? topK : vocabSize,
    typicalP: clamp(options.typicalP ?? 1, 0, 1),
    topP: clamp(options.topP ?? 0.95, 0, 1),
    minP: clamp(options.minP ?? 0.05, 0, 1),
    repeatPenalty: repeatPenalty > 0 ? repeatPenalty : 1,
    repeatLastN: Math.max(-1, Math.floor(options.repeatLastN ?? 64)),
    frequencyPenalty: options.frequencyPenalty ?? 0,
    presencePenalty: options.presencePenalty ?? 0,
    biasIds: Int32Array.from(bias, ([id]) => id),
    biases: Float64Array.from(bias, ([, value]) => value),
  };
}

/** The nearest number from `min` to `max`; `min` for NaN. */
function clamp(value: number, min: number, max: number): number {
  return value > min ? Math.min(max, value) : min;
}

function hasPenalties(settings: Settings): boolean {
  const { repeatLastN, repeatPenalty, frequencyPenalty, presencePenalty } = settings;
  if (repeatLastN === 0) return false;
  return repeatPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0;
}

/** Makes remembered ids less likely, whichever sign their logits have. */
function penalise(scores: Float32Array, recent: RecentIds, settings: Settings): void {
  const { repeatPenalty, frequencyPenalty, presencePenalty } = settings;
  for (let i = 0; i < recent.distinct; i++) {
    const id = recent.idAt(i);
    const score = scores[id];
    const repeated = score > 0 ? score / repeatPenalty : score * repeatPenalty;
    scores[id] = repeated - recent.countOf(id) * frequencyPenalty - presencePenalty;
  }
}

/** The first of the largest scores; 0 when all are NaN. */
function indexOfLargest(scores: Float32Array): number {
  let best = -1;
  for (let i = 0; i < scores.length; i++) {
    if (best < 0 ? !Number.isNaN(scores[i]) : scores[i] > scores[best]) best = i;
  }
  return Math.max(0, best);
}
