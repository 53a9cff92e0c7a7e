/**
 * Chooses the next id from the logits on a board. Works on ids and numbers; knows nothing of text
 * or of how the logits came to be.
 *
 * The order is llama.cpp's: penalties, bias, then the steps (base/sampler_steps.ts), unless a
 * request has them in another one, and a draw. Steps before the temperature see probabilities as
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
import { AdaptiveP } from "./adaptive_p.ts";
import { Mirostat } from "./mirostat.ts";
import { Repeats } from "./repeats.ts";
import { Candidates } from "./sampler_candidates.ts";
import { randomSeed, SeededRandom } from "./sampler_random.ts";
import { RecentIds } from "./sampler_recent_ids.ts";
import { readSettings, type Settings } from "./sampler_settings.ts";
import type { SamplerStep } from "../base/sampler_steps.ts";
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
  /** What DRY looks at; null when it is off. */
  readonly #repeats: Repeats | null;
  /** Chooses in place of the steps; null when it is off. */
  readonly #mirostat: Mirostat | null;
  /** Draws from what the steps leave; null when it is off. */
  readonly #adaptive: AdaptiveP | null;
  readonly #filter: IdFilter | null;

  /**
   * Options out of range count as the nearest in range or as off; biases of unknown ids do not.
   * breakers: ids that no repetition goes across, for DRY.
   */
  constructor(
    options: SamplingOptions,
    board: ScoreBoard,
    filter: IdFilter | null = null,
    breakers: readonly number[] = [],
  ) {
    const { vocabSize } = board;
    const settings = readSettings(options, vocabSize);
    this.seed = options.seed ?? randomSeed();
    this.#settings = settings;
    this.#random = new SeededRandom(this.seed);
    this.#board = board;
    this.#filter = filter;
    this.#candidates = new Candidates(board, {
      countMax: settings.mirostat > 0 ? vocabSize : settings.firstK,
      typical: settings.steps.includes("typicalP"),
    });
    this.#recent = hasPenalties(settings) ? new RecentIds(vocabSize, settings.repeatLastN) : null;
    this.#repeats = hasDry(settings) ? new Repeats(vocabSize, settings, breakers) : null;
    this.#mirostat = settings.mirostat > 0 ? new Mirostat(vocabSize, settings) : null;
    this.#adaptive = settings.adaptiveTarget >= 0 ? new AdaptiveP(settings) : null;
  }

  /** Tells the penalties of an id of the prompt or the answer, in order. */
  accept(id: number): void {
    check(Number.isInteger(id) && id >= 0 && id < this.#board.vocabSize, `no id ${id}`);
    this.#recent?.add(id);
    this.#repeats?.add(id);
    this.#mirostat?.accept(id);
    this.#adaptive?.accept(id);
  }

  /**
   * Tells how the next `count` ids will be chosen, for who chooses them ahead.
   * @returns false when more than the best scores decides: penalties, biases, many ids, a filter
   *   that leaves few.
   */
  foretell(choice: ChainChoice, count: number): boolean {
    const { temperature, firstK, topP, minP, biasIds, isUsual } = this.#settings;
    if (this.#recent !== null || this.#repeats !== null || biasIds.length > 0) return false;
    if (this.#filter !== null && !this.#filter.isFree) return false;
    choice.temperature = temperature;
    if (temperature === 0) return true;
    if (!isUsual || firstK > ORDERED_MAX) return false;
    choice.topK = firstK;
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
    const { temperature, steps, firstK } = this.#settings;
    if (temperature === 0) return this.#board.largest();

    const candidates = this.#candidates;
    candidates.reset(firstK);
    if (candidates.count === 0) return this.#board.largest();
    if (this.#mirostat) {
      return this.#mirostat.draw(candidates, temperature, this.#random.next());
    }
    for (let i = 0; i < steps.length; i++) this.#narrow(steps[i]);
    const point = this.#random.next();
    return this.#adaptive?.draw(candidates, point) ?? candidates.pick(point);
  }

  #narrow(step: SamplerStep): void {
    const candidates = this.#candidates;
    const { topNSigma, topK, typicalP, topP, minP, xtcProbability, xtcThreshold } = this.#settings;
    if (step === "topK") candidates.keepLargest(topK);
    else if (step === "topP") candidates.keepTopP(topP);
    else if (step === "minP") candidates.keepMinP(minP);
    else if (step === "typicalP") candidates.keepTypical(typicalP);
    else if (step === "topNSigma") candidates.keepNSigma(topNSigma);
    else if (step === "temperature") this.#temper();
    else if (this.#random.next() < xtcProbability) candidates.dropTop(xtcThreshold);
  }

  /** Divides by the temperature, which may depend on how sure the model is. */
  #temper(): void {
    const { temperature, temperatureRange, temperatureExponent } = this.#settings;
    const candidates = this.#candidates;
    if (temperatureRange === 0) return candidates.temper(temperature);
    const coldest = Math.max(0, temperature - temperatureRange);
    const span = temperature + temperatureRange - coldest;
    const chosen = coldest + span * candidates.uncertainty() ** temperatureExponent;
    if (chosen > 0) candidates.temper(chosen);
    else candidates.keepLargest(1);
  }

  /** Adds penalties and biases to the scores in place: of few ids, whatever the vocabulary. */
  #adjust(scores: Float32Array): void {
    if (this.#recent) penalise(scores, this.#recent, this.#settings);
    this.#repeats?.penalise(scores);
    const { biasIds, biases } = this.#settings;
    for (let i = 0; i < biasIds.length; i++) scores[biasIds[i]] += biases[i];
  }
}

function nothingFits(): RequestError {
  return new RequestError(
    "Cannot go on by the grammar: no token that may follow is left by the vocabulary and " +
      "logit_bias: change the grammar, or leave out the bias",
    { status: 400, code: "invalid_grammar" },
  );
}

function hasPenalties(settings: Settings): boolean {
  const { repeatLastN, repeatPenalty, frequencyPenalty, presencePenalty } = settings;
  if (repeatLastN === 0) return false;
  return repeatPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0;
}

function hasDry({ dryMultiplier, dryBase, dryLastN }: Settings): boolean {
  return dryMultiplier !== 0 && dryBase >= 1 && dryLastN !== 0;
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
