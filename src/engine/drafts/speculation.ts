/**
 * Decides which guesses go into a step. Rows that a step has left carry guessed ids of sequences
 * that generate; those that turn out right are ids without a step of their own. How many pay is
 * arithmetic: ids that are expected of a step, by how often guesses were right, over the time that
 * a step of so many rows takes. Knows nothing of logits; ids come out the same with and without it.
 */
import type { Scheduler } from "../scheduler.ts";
import type { Sequence } from "../sequence.ts";
import type { StepTimes } from "../step_times.ts";
import { type Drafter, Drafts, DRAFTS_MAX, type ModelDrafter, type Speculate } from "./drafts.ts";

/** Who guesses. */
export interface Drafters {
  /** Costs nothing, and is asked first. */
  readonly lookup: Drafter;
  /** Costs time, and is asked where the other is not sure. */
  readonly model?: ModelDrafter;
}

export interface SpeculationOptions {
  readonly slots: number;
  readonly speculate: Speculate;
  /** How long steps take, as whoever runs them measures it. */
  readonly times: StepTimes;
  /** Most guesses of a step. Left out: as many as it has room for. */
  readonly most?: number;
}

/** Guesses of a sequence where their number is decided by time: more rows cost as much as ids. */
const AUTO_DRAFTS_MAX = 7;
/** A looked up guess that is right so often needs no second opinion. */
const SURE = 0.6;
/** Guesses are used where they promise so much more: times are never quite right. */
const GAIN_MIN = 1.03;
/** Where guesses do not pay, every so many steps that have some try it: times may have changed. */
const PROBE_STEPS = 64;
const PROBE_DRAFTS = 3;
/** So many steps in a row a model that does not pay may read what it has missed. */
const PROBE_READS = 16;

export class Speculation {
  readonly #times: StepTimes;
  readonly #lookup: Drafter;
  readonly #model: ModelDrafter | null;
  /** By slot. */
  readonly #drafts: Drafts[];
  /** What the model guesses, which takes the place of the slot's if it is anything. */
  #second = new Drafts();
  /** By slot: 1: they are the model's. */
  readonly #isModels: Uint8Array;
  readonly #speculate: Speculate;
  readonly #most: number;
  /** By index of the step's sequences: rows that guesses get, and the chance of the next one. */
  readonly #given: Int32Array;
  readonly #chance: Float64Array;
  /** Indices in the order in which their guesses are the likeliest. */
  readonly #order: Int32Array;
  /** Of the step before guesses: its rows, and its sequences. */
  #rows = 0;
  #count = 0;
  #stepsSinceProbe = 0;
  #stepsSincePlain = 0;
  #stepsSinceAsked = 0;

  constructor(
    { lookup, model }: Drafters,
    { slots, speculate, times, most = Infinity }: SpeculationOptions,
  ) {
    this.#lookup = lookup;
    this.#model = model ?? null;
    this.#isModels = new Uint8Array(slots);
    this.#speculate = speculate;
    this.#times = times;
    this.#most = most;
    this.#drafts = Array.from({ length: slots }, () => new Drafts());
    this.#given = new Int32Array(slots);
    this.#chance = new Float64Array(slots);
    this.#order = new Int32Array(slots * DRAFTS_MAX);
  }

  /** The sequence has its slot. */
  open({ slot, computed }: Sequence): void {
    this.#lookup.open(slot, computed);
    this.#model?.open(slot, computed);
    this.#drafts[slot].count = 0;
  }

  /** Adds rows of guesses to a step that is planned; their ids are behind the sequences' own. */
  extend(scheduler: Scheduler<Sequence>): void {
    const { sequences, count } = scheduler;
    const spare = Math.min(scheduler.spare, this.#most);
    let rows = 0;
    for (let i = 0; i < count; i++) rows += scheduler.rows[i];
    this.#rows = rows;
    this.#count = count;
    let hasSome = false;
    for (let i = 0; i < count; i++) if (this.#propose(sequences[i], spare) > 0) hasSome = true;
    if (!hasSome) return;
    const total = this.#rank(scheduler, spare);
    const used = this.#speculate === "auto" ? this.#howMany(rows, total, scheduler) : total;
    this.#given.fill(0, 0, count);
    for (let n = 0; n < used; n++) this.#given[this.#order[n]]++;
    for (let i = 0; i < count; i++) {
      const given = this.#given[i];
      if (given === 0) continue;
      const { ids, known, slot } = sequences[i];
      for (let d = 0; d < given; d++) ids[known + d] = this.#drafts[slot].ids[d];
      scheduler.extend(i, given);
    }
  }

  /** A step has run, and nothing has been chosen yet. */
  keep(scheduler: Scheduler<Sequence>): void {
    this.#model?.keep?.(scheduler);
  }

  /** Of a sequence of the step, ids from index `from` on have become known. */
  learn({ slot, ids, known }: Sequence, from: number): void {
    const drafts = this.#drafts[slot];
    const seen = Math.min(drafts.count, known - from);
    let right = 0;
    while (right < seen && drafts.ids[right] === ids[from + right]) right++;
    const drafter = this.#isModels[slot] === 1 ? this.#model! : this.#lookup;
    if (seen > 0) drafter.learn(slot, drafts, { seen, right });
    drafts.count = 0;
  }

  /** Guesses for a sequence; the last id of an answer needs none behind it. */
  #propose(sequence: Sequence, spare: number): number {
    const drafts = this.#drafts[sequence.slot];
    drafts.count = 0;
    // The other model knows nothing of rows that were given.
    const model = sequence.spans.length === 0 ? this.#model : null;
    if (!sequence.isGenerating || model?.followsAnswers) {
      model?.follow(sequence, sequence.computed);
    }
    if (!sequence.isGenerating || spare === 0) return 0;
    const wanted = this.#speculate === "auto" ? AUTO_DRAFTS_MAX : this.#speculate;
    const most = Math.min(wanted, this.#most, sequence.maxTokens - sequence.answered - 1);
    if (most <= 0) return 0;
    this.#lookup.propose(sequence, most, drafts);
    this.#isModels[sequence.slot] = 0;
    if (model === null || drafts.count > 0 && drafts.odds[0] >= SURE) return drafts.count;
    if (!this.#isModelWorth(sequence)) return drafts.count;
    const second = this.#second;
    second.count = 0;
    // Unlike looked up ones, its guesses cost time: none is made that the step has no row for.
    model.propose(sequence, Math.min(most, spare), second, this.#leastChance());
    if (second.count === 0) return drafts.count;
    this.#stepsSinceAsked = 0;
    this.#second = drafts;
    this.#drafts[sequence.slot] = second;
    this.#isModels[sequence.slot] = 1;
    return second.count;
  }

  /** Whether asking the model promises more ids in the same time than not asking it. */
  #isModelWorth(sequence: Sequence): boolean {
    if (this.#speculate !== "auto") return true;
    const times = this.#times;
    const rows = this.#rows, count = this.#count;
    const model = this.#model!;
    if (!times.knows(rows)) return false;
    const rightChance = model.chanceOf(sequence.slot);
    const plainRate = GAIN_MIN * count / times.estimate(rows);
    let ids = count;
    let chance = 1;
    for (let n = 1; n <= AUTO_DRAFTS_MAX; n++) {
      chance *= rightChance;
      ids += chance;
      if (ids / (times.estimate(rows + n) + model.costMs(sequence, n)) > plainRate) return true;
    }
    // A model that is behind reads a piece of the text when it is asked, and guesses nothing: it is
    // asked again until it has guessed, for without that nothing is learnt of it.
    const since = ++this.#stepsSinceAsked;
    if (since >= PROBE_STEPS + PROBE_READS - 1) this.#stepsSinceAsked = 0;
    return since >= PROBE_STEPS;
  }

  /** How likely a guess must be to be worth a row and the time that it takes to make it. */
  #leastChance(): number {
    if (this.#speculate !== "auto") return 0;
    const times = this.#times;
    const rows = this.#rows;
    const stepMs = times.estimate(rows);
    const rowMs = (times.estimate(rows + AUTO_DRAFTS_MAX) - stepMs) / AUTO_DRAFTS_MAX;
    return (rowMs + this.#model!.guessMs) * this.#count / stepMs;
  }

  /** Orders as many guesses as the step has room for, the likeliest first; returns how many. */
  #rank({ sequences, count }: Scheduler<Sequence>, spare: number): number {
    this.#given.fill(0, 0, count);
    for (let i = 0; i < count; i++) {
      const { count: guesses, odds } = this.#drafts[sequences[i].slot];
      this.#chance[i] = guesses > 0 ? odds[0] : 0;
    }
    for (let n = 0; n < spare; n++) {
      let best = 0;
      for (let i = 1; i < count; i++) if (this.#chance[i] > this.#chance[best]) best = i;
      if (this.#chance[best] === 0) return n;
      this.#order[n] = best;
      const { count: guesses, odds } = this.#drafts[sequences[best].slot];
      const next = ++this.#given[best];
      this.#chance[best] *= next < guesses ? odds[next] : 0;
    }
    return spare;
  }

  /** How many of the ordered guesses make the most ids in the least time. */
  #howMany(rows: number, total: number, scheduler: Scheduler<Sequence>): number {
    const times = this.#times;
    if (!times.knows(rows)) return 0;
    // A sequence that only reads its prompt is no id; steps of such alone have no guesses.
    let ids = 0;
    for (let i = 0; i < scheduler.count; i++) if (scheduler.sequences[i].isGenerating) ids++;
    let bestRate = GAIN_MIN * ids / times.estimate(rows);
    let best = 0;
    this.#given.fill(0, 0, scheduler.count);
    this.#chance.fill(1, 0, scheduler.count);
    for (let n = 0; n < total; n++) {
      const at = this.#order[n];
      const { odds } = this.#drafts[scheduler.sequences[at].slot];
      this.#chance[at] *= odds[this.#given[at]++];
      ids += this.#chance[at];
      const rate = ids / times.estimate(rows + n + 1);
      if (rate <= bestRate) continue;
      bestRate = rate;
      best = n + 1;
    }
    // A time that is never taken again cannot be wrong for long.
    if (best > 0 && ++this.#stepsSincePlain >= PROBE_STEPS) best = 0;
    if (best === 0) this.#stepsSincePlain = 0;
    else this.#stepsSinceProbe = 0;
    if (best > 0) return best;
    if (++this.#stepsSinceProbe >= PROBE_STEPS) {
      this.#stepsSinceProbe = 0;
      return Math.min(total, PROBE_DRAFTS);
    }
    return best;
  }
}
