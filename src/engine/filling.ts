/**
 * A request of a model that fills in a text: its ids, which of them are masks yet, and what logits
 * of a step make of these. An answer is filled in block by block, within a block first at the
 * places that the model is surest of (Nie et al. 2025, "Large Language Diffusion Models"). Ids come
 * out as soon as all before them are there; what is filled in stays.
 */
import type { GgufPart } from "../gguf/types.ts";
import type { FinishReason, Timings } from "../llm/types.ts";
import { FILL_BLOCK_MAX, type FillConfig } from "../model/fill_types.ts";
import { certaintyOf } from "./certainty.ts";
import { noLogits } from "./chooser.ts";
import { FILL_DEFAULTS, type FillSettings } from "./fill_settings.ts";
import { Sampler } from "./sampler.ts";
import { SeededRandom } from "./sampler_random.ts";
import type { SequenceEnd } from "./sequence.ts";
import type { StepRunner } from "./step_runner.ts";
import { TokenTimes } from "./token_times.ts";
import type { EngineRequest, EngineResult } from "./types.ts";

export class Filling {
  readonly slot: number;
  readonly end: SequenceEnd;
  readonly priority: number;
  readonly promptTokens: number;
  /** Prompt and answer. */
  readonly ids: Int32Array;
  readonly #fill: FillConfig;
  readonly #parts: readonly GgufPart[];
  readonly #settings: FillSettings;
  readonly #endIds: ReadonlySet<number>;
  readonly #outputIds: Int32Array;
  readonly #sampler: Sampler;
  readonly #random: SeededRandom;
  /** [ids]: 1 where an id is there. */
  readonly #isThere: Uint8Array;
  /** Behind the block that is filled in. */
  #blockEnd: number;
  /** Ids of the answer with all before them. */
  #answered = 0;
  #startMs = 0;
  #firstMs = 0;
  readonly #tokenMs: TokenTimes;
  /** Masks of a step, what was chosen for each, and how sure that is. */
  readonly #places = new Int32Array(FILL_BLOCK_MAX);
  readonly #chosen = new Int32Array(FILL_BLOCK_MAX);
  readonly #certainty = new Float64Array(FILL_BLOCK_MAX);
  #count = 0;

  /** The prompt fits, and the answer is as long as there is room. */
  constructor(
    request: EngineRequest,
    of: {
      readonly slot: number;
      readonly contextLength: number;
      readonly outputIds: Int32Array;
      readonly end: SequenceEnd;
      readonly fill: FillConfig;
      readonly steps: StepRunner;
      /** The model's files, and those that change it. */
      readonly parts: readonly GgufPart[];
    },
  ) {
    const { ids, maxTokens, sampling, endIds, priority = 0, fill = FILL_DEFAULTS } = request;
    this.slot = of.slot;
    this.end = of.end;
    this.priority = priority;
    this.#fill = of.fill;
    this.#parts = of.parts;
    this.#settings = fill;
    this.#outputIds = of.outputIds;
    this.#endIds = new Set(endIds);
    this.promptTokens = ids.length;
    const answer = Math.min(maxTokens, of.contextLength - ids.length);
    this.ids = new Int32Array(ids.length + answer).fill(of.fill.maskId);
    this.ids.set(ids);
    this.#isThere = new Uint8Array(this.ids.length).fill(1, 0, ids.length);
    this.#blockEnd = this.#endOfBlock(ids.length);
    this.#sampler = new Sampler(sampling, of.steps.board);
    // Draws of its own: in no order of places are others' ids drawn.
    this.#random = new SeededRandom(this.#sampler.seed + 1);
    for (const id of ids) this.#sampler.accept(id);
    this.#tokenMs = new TokenTimes(answer);
    this.#findMasks();
  }

  /** Ids of the answer that are there with all before them. */
  get answered(): number {
    return this.#answered;
  }

  /** Nothing is wanted of it. */
  get isEmpty(): boolean {
    return this.ids.length === this.promptTokens;
  }

  /** Rows whose logits its next step wants: from the first that speaks of a mask of the block */
  get firstRow(): number {
    return this.#rowOf(this.#places[0]);
  }

  /** to the one before this. */
  get endRow(): number {
    return this.#rowOf(this.#places[this.#count - 1]) + 1;
  }

  start(): void {
    this.#startMs = performance.now();
  }

  /**
   * Puts ids in the place of masks, by the logits of a step.
   * @returns why the answer ends with them, or null.
   * @throws {RequestError} 500 where logits are not numbers.
   */
  take(steps: StepRunner): FinishReason | null {
    for (let i = 0; i < this.#count; i++) this.#look(steps, i);
    const wanted = Math.min(this.#settings.stepTokens, this.#count);
    for (let taken = 0; taken < wanted; taken++) this.#put(this.#surest());
    if (this.#firstMs === 0) {
      this.#firstMs = performance.now();
      this.#tokenMs.restart(this.#firstMs);
    }
    // Ids that come out together were computed together.
    this.#tokenMs.beginWait();
    const finished = this.#handOut();
    this.#tokenMs.endWait();
    this.#findMasks();
    return finished;
  }

  result(finishReason: FinishReason): EngineResult {
    const nowMs = performance.now();
    const started = this.#startMs > 0;
    const firstMs = this.#firstMs > 0 ? this.#firstMs : nowMs;
    const timings: Timings = {
      promptTokens: this.promptTokens,
      cachedTokens: 0,
      // The first step reads it.
      promptMs: started ? firstMs - this.#startMs : 0,
      predictedTokens: this.#answered,
      predictedMs: nowMs - firstMs,
      ...this.#firstMs > 0 && { tokenMs: this.#tokenMs.percentiles() },
    };
    return { finishReason, timings };
  }

  /** Which row of a step speaks of a place. A prompt has an id at least. */
  #rowOf(place: number): number {
    return this.#fill.isShifted ? place - 1 : place;
  }

  #endOfBlock(start: number): number {
    return Math.min(start + this.#settings.blockTokens, this.ids.length);
  }

  /** Those of the block, or of the next one where it has none left. */
  #findMasks(): void {
    this.#count = 0;
    const start = this.promptTokens + this.#answered;
    if (start === this.#blockEnd) this.#blockEnd = this.#endOfBlock(start);
    for (let place = start; place < this.#blockEnd; place++) {
      if (this.#isThere[place] === 0) this.#places[this.#count++] = place;
    }
  }

  /** Chooses an id for a place. */
  #look(steps: StepRunner, index: number): void {
    const place = this.#places[index];
    const { scores } = steps.board;
    steps.takeRow(this.#rowOf(place) - this.firstRow);
    // What is not said yet is not said by a mask.
    scores[this.#fill.maskId] = -Infinity;
    const id = this.#sampler.sample();
    // Of scores that are no numbers the mask's is the only one.
    if (id === this.#fill.maskId || Number.isNaN(scores[id])) {
      throw noLogits(place, "", { parts: this.#parts });
    }
    this.#chosen[index] = id;
    const { order } = this.#settings;
    this.#certainty[index] = order === "random"
      ? this.#random.next()
      : certaintyOf(scores, id, order);
  }

  /** The first of those that it is surest of. */
  #surest(): number {
    let best = -1;
    for (let i = 0; i < this.#count; i++) {
      if (this.#isThere[this.#places[i]] === 1) continue;
      if (best < 0 || this.#certainty[i] > this.#certainty[best]) best = i;
    }
    return best;
  }

  #put(index: number): void {
    const id = this.#chosen[index];
    this.ids[this.#places[index]] = id;
    this.#isThere[this.#places[index]] = 1;
    this.#sampler.accept(id);
  }

  /** Ids that have all before them now. */
  #handOut(): FinishReason | null {
    for (;;) {
      const place = this.promptTokens + this.#answered;
      if (place === this.ids.length) return "length";
      if (this.#isThere[place] === 0) return null;
      const id = this.ids[place];
      if (this.#endIds.has(id)) return "stop";
      // The first one comes of the step that reads the prompt.
      if (this.#answered > 0) this.#tokenMs.add(performance.now());
      this.#outputIds[this.#answered++] = id;
    }
  }
}
