/**
 * Chooses the next id from the logits on a board. Works on ids and numbers; knows nothing of text
 * or of how the logits came to be.
 *
 * The order of the steps is llama.cpp's: penalties, bias, top-k, typical, top-p, min-p,
 * temperature, then one draw. The steps before the temperature therefore see the probabilities as
 * the model gives them, and a hot temperature spreads the draw over what they left.
 *
 * Where not every id may come (a grammar), one is chosen as if all might, which costs nothing and
 * is nearly always right. Only one that may not come is followed by a second choice among those
 * that may, with a draw of its own: taking the first draw again would favour some of them. Without
 * truncation both together choose as one choice among the allowed would, and how many draws a seed
 * gives depends on logits and ids alone.
 */
import { check } from "../base/check.ts";
import { RequestError } from "../base/errors.ts";
import type { ChainChoice } from "../rank/gpu/token_chain.ts";
import type { SamplingOptions } from "../llm/types.ts";
import { Candidates } from "./sampler_candidates.ts";
import { randomSeed, SeededRandom } from "./sampler_random.ts";
import { RecentIds } from "./sampler_recent_ids.ts";
import { ORDERED_MAX, type ScoreBoard } from "./score_board.ts";

/** Which ids may come: a `GrammarMatcher`. */
export interface IdFilter {
  allows(id: number): boolean;
  /** Nearly every id may come. */
  readonly isFree: boolean;
  /** [⌈vocab / 32⌉]: a bit per id. */
  mask(): Uint32Array;
}

/** The sampler of one request. Allocates nothing per token. */
export class Sampler {
  /** Repeats this request's ids when given as `SamplingOptions.seed`. */
  readonly seed: number;
  readonly #settings: Settings;
  readonly #random: SeededRandom;
  readonly #board: ScoreBoard;
  readonly #candidates: Candidates;
  /** What the penalties look at; null when none is on. */
  readonly #recent: RecentIds | null;
  readonly #filter: IdFilter | null;

  /** Options out of range count as the nearest in range or as off; biases of unknown ids do not. */
  constructor(options: SamplingOptions, board: ScoreBoard, filter: IdFilter | null = null) {
    const { vocabSize } = board;
    const settings = readSettings(options, vocabSize);
    this.seed = options.seed ?? randomSeed();
    this.#settings = settings;
    this.#random = new SeededRandom(this.seed);
    this.#board = board;
    this.#filter = filter;
    this.#candidates = new Candidates(board, {
      countMax: settings.topK,
      typical: settings.typicalP < 1,
    });
    this.#recent = hasPenalties(settings) ? new RecentIds(vocabSize, settings.repeatLastN) : null;
  }

  /** Tells the penalties of an id of the prompt or the answer, in order. */
  accept(id: number): void {
    check(Number.isInteger(id) && id >= 0 && id < this.#board.vocabSize, `no id ${id}`);
    this.#recent?.add(id);
  }

  /**
   * Tells how the next `count` ids will be chosen, for who chooses them ahead.
   * @returns false when more than the best scores decides: penalties, biases, many ids, a filter
   *   that leaves few.
   */
  foretell(choice: ChainChoice, count: number): boolean {
    const { temperature, typicalP, topK, topP, minP, biasIds } = this.#settings;
    if (this.#recent !== null || biasIds.length > 0) return false;
    if (this.#filter !== null && !this.#filter.isFree) return false;
    choice.temperature = temperature;
    if (temperature === 0) return true;
    if (typicalP < 1 || topK > ORDERED_MAX) return false;
    choice.topK = topK;
    choice.topP = topP;
    choice.minP = minP;
    this.#random.peek(choice.points, count);
    return true;
  }

  /**
   * Whether the best scores, which are all that is on the board, tell which id is to come: where
   * the one that they give may not, another is chosen among all that may.
   */
  get isTold(): boolean {
    if (this.#filter === null) return true;
    this.#random.keep();
    const id = this.#choose();
    this.#random.restore();
    return this.#filter.allows(id);
  }

  /**
   * The id to go on with; the caller accepts it if it does. An id whose logit is NaN is never
   * chosen while there is another; nor is one of -Infinity. Logits are put on the board before
   * each call: penalties and biases are added to them there, and the filter's -Infinity.
   * @throws {RequestError} 400 when the filter leaves no id with a logit above -Infinity.
   */
  sample(): number {
    this.#adjust(this.#board.scores);
    const id = this.#choose();
    const filter = this.#filter;
    if (filter === null || filter.allows(id) || Number.isNaN(this.#board.scores[id])) return id;
    this.#board.keepOnly(filter.mask());
    const allowed = this.#choose();
    if (this.#board.scores[allowed] > -Infinity) return allowed;
    throw nothingFits();
  }

  #choose(): number {
    const { temperature, typicalP, topP, minP } = this.#settings;
    if (temperature === 0) return this.#board.largest();

    const candidates = this.#candidates;
    candidates.reset();
    if (candidates.count === 0) return this.#board.largest();
    if (typicalP < 1) candidates.keepTypical(typicalP);
    if (topP < 1) candidates.keepTopP(topP);
    if (minP > 0) candidates.keepMinP(minP);
    return candidates.pick(temperature, this.#random.next());
  }

  /** Adds penalties and biases to the scores in place: of few ids, whatever the vocabulary. */
  #adjust(scores: Float32Array): void {
    if (this.#recent) penalise(scores, this.#recent, this.#settings);
    const { biasIds, biases } = this.#settings;
    for (let i = 0; i < biasIds.length; i++) scores[biasIds[i]] += biases[i];
  }
}

/** Every option with its default filled in and forced into range. */
interface Settings {
  readonly temperature: number;
  /** 1 to vocabSize, which is all. */
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
  return boxed({
    // Finite, so that an infinite distance from the best stays infinite.
    temperature: clamp(options.temperature ?? 0.8, 0, Number.MAX_VALUE),
    topK: topK > 0 ? Math.min(topK, vocabSize) : vocabSize,
    typicalP: clamp(options.typicalP ?? 1, 0, 1),
    topP: clamp(options.topP ?? 0.95, 0, 1),
    minP: clamp(options.minP ?? 0.05, 0, 1),
    repeatPenalty: repeatPenalty > 0 ? repeatPenalty : 1,
    repeatLastN: Math.max(-1, Math.floor(options.repeatLastN ?? 64)),
    frequencyPenalty: options.frequencyPenalty ?? 0,
    presencePenalty: options.presencePenalty ?? 0,
    biasIds: Int32Array.from(bias, ([id]) => id),
    biases: Float64Array.from(bias, ([, value]) => value),
  });
}

function nothingFits(): RequestError {
  return new RequestError(
    "Cannot go on by the grammar: no token that may follow is left by the vocabulary and " +
      "logit_bias: change the grammar, or leave out the bias",
    { status: 400, code: "invalid_grammar" },
  );
}

/**
 * The settings with numbers that stay objects: one that V8 keeps unboxed in a field would be boxed
 * anew at each call that it does not inline. What began as null is kept as it is put there.
 */
function boxed(settings: Settings): Settings {
  const nothing = Object.keys(settings).map((name) => [name, null] as const);
  return Object.assign(Object.fromEntries(nothing), settings);
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
