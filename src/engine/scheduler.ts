/**
 * What each step carries: of which sequences, and how many rows of each. Sequences that generate
 * have a row each; prompts share what is left of the step, short ones first, and the one that has
 * waited longest always goes on. What is spare then may go to guesses of what generates (drafts/).
 * Arithmetic over counts: knows neither ids nor memories, and allocates nothing per step.
 */
import { check } from "../base/check.ts";

/** A sequence as far as its turns go. */
export interface Schedulable {
  /** Ids that are known, and those of them whose keys and values are computed. */
  readonly known: number;
  readonly computed: number;
  /**
   * Rows of its prompt that are next and computed in one step, or none of them is; 0: none are.
   * And rows that are next before such.
   */
  readonly wholeRows: number;
  readonly freeRows: number;
  /** It has all of its prompt behind it. */
  readonly isGenerating: boolean;
  /** Larger ones are served first. */
  readonly priority: number;
}

/** It has room now, there is none, or it had better wait for what another one computes. */
export type Admission = "in" | "full" | "later";

export interface SchedulerOptions {
  /** Most rows of a step. */
  readonly chunkTokens: number;
  /** Most rows of a step whose logits are wanted. */
  readonly logitsRows: number;
  /** Steps of one sequence each, prompts in whole chunks: where rows depend on their neighbours. */
  readonly takesTurns: boolean;
  /** Where they take turns: those that generate share a step nevertheless. */
  readonly sharesAnswers?: boolean;
}

/** Of what prompts may have of a step, one part of so many is the longest waiting one's. */
const SHARE_OF_OLDEST = 8;

/**
 * Sequences of this priority or less are background: beside others they have one step of so many,
 * which keeps them going.
 */
export const BACKGROUND_PRIORITY = -1_000_000;
const BACKGROUND_SHARE = 16;

export class Scheduler<S extends Schedulable> {
  readonly #in: SchedulerOptions;
  /** Those that have no room yet, in the order in which they will get it. */
  readonly #waiting: S[] = [];
  /** Those that have, in the order in which they came. */
  readonly #active: S[] = [];
  /** Those of them that the step may carry. */
  #candidates: readonly S[] = this.#active;
  /** Of those, and of the rest, where only one kind has the step. */
  readonly #some: S[] = [];
  /** Steps so far of which background sequences could have had a part. */
  #contested = 0;
  /** The first so many are prompts, in the order in which this step serves them. */
  readonly #prompts: S[] = [];
  #promptCount = 0;
  /** The step: its first `count` sequences, and how many rows each has. */
  readonly sequences: S[] = [];
  readonly rows: number[] = [];
  count = 0;
  /** Rows that a planned step has room for beside its own, with logits of each. */
  spare = 0;
  /** Turns of generating sequences, and of prompts, so far. */
  #turn = 0;
  #promptTurn = 0;
  /** The step before was not filled up. */
  #wasShort = false;
  /** The step before was one for rows that are not parted. */
  #wasWhole = false;
  /** The step before was of those that generate. */
  #wasShared = false;

  constructor(options: SchedulerOptions) {
    check(options.chunkTokens >= 1 && options.logitsRows >= 1, "a step has rows");
    // Where a step has room for one of them only, they take turns, too.
    this.#in = { ...options, takesTurns: options.takesTurns || options.logitsRows === 1 };
  }

  get active(): readonly S[] {
    return this.#active;
  }

  get waiting(): readonly S[] {
    return this.#waiting;
  }

  get isIdle(): boolean {
    return this.#active.length === 0 && this.#waiting.length === 0;
  }

  /** Lets a sequence wait for room, behind those of its priority. */
  add(sequence: S): void {
    let at = this.#waiting.length;
    while (at > 0 && this.#waiting[at - 1].priority < sequence.priority) at--;
    this.#waiting.splice(at, 0, sequence);
  }

  /**
   * Takes in those that wait, in order, until one finds no room: it is not overtaken. Those that
   * had better come later are.
   */
  admit(takeIn: (sequence: S) => Admission): void {
    for (let i = 0; i < this.#waiting.length;) {
      const answer = takeIn(this.#waiting[i]);
      if (answer === "full") return;
      if (answer === "later") i++;
      else this.#active.push(...this.#waiting.splice(i, 1));
    }
  }

  /** The sequence is over, whether it ran or waited. */
  remove(sequence: S): void {
    for (const list of [this.#active, this.#waiting]) {
      const at = list.indexOf(sequence);
      if (at >= 0) list.splice(at, 1);
    }
  }

  /**
   * Decides the next step: `sequences` and `rows`. There must be an active one. rowsMax: of a step
   * with prompts, where rows do not depend on their neighbours.
   */
  plan(rowsMax: number = this.#in.chunkTokens): void {
    this.count = this.#promptCount = this.spare = 0;
    this.#chooseCandidates();
    for (let i = 0; i < this.#candidates.length; i++) {
      if (!this.#candidates[i].isGenerating) this.#insertPrompt(this.#candidates[i]);
    }
    if (this.#in.takesTurns) {
      if (!this.#sharesStep()) this.#planTurn();
    } else if (!this.#planWhole()) {
      this.#planTogether(this.#promptCount > 0 ? rowsMax : this.#in.chunkTokens);
    }
    check(this.count > 0, "a step has rows");
  }

  /** All, unless background sequences and others are there. */
  #chooseCandidates(): void {
    this.#candidates = this.#active;
    let behind = 0;
    for (let i = 0; i < this.#active.length; i++) if (isBehind(this.#active[i])) behind++;
    if (behind === 0 || behind === this.#active.length) return;
    const isTheirs = ++this.#contested % BACKGROUND_SHARE === 0;
    // A step of many rows takes them along; of steps of one sequence each, this one is theirs.
    if (isTheirs && !this.#in.takesTurns) return;
    this.#some.length = 0;
    for (let i = 0; i < this.#active.length; i++) {
      if (isBehind(this.#active[i]) === isTheirs) this.#some.push(this.#active[i]);
    }
    this.#candidates = this.#some;
  }

  /** Gives a sequence of the planned step, which generates, more rows: of what is spare. */
  extend(index: number, rows: number): void {
    check(this.sequences[index].isGenerating && rows <= this.spare, "what is spare is shared out");
    this.rows[index] += rows;
    this.spare -= rows;
  }

  /** Sorted by priority, then by what is left to compute; the number is small. */
  #insertPrompt(sequence: S): void {
    const prompts = this.#prompts;
    let at = this.#promptCount++;
    for (; at > 0 && isBefore(sequence, prompts[at - 1]); at--) prompts[at] = prompts[at - 1];
    prompts[at] = sequence;
  }

  /**
   * A step for rows that are not parted, and beside them for those that generate, as far as there
   * is room; not twice running, if others could use a step. False: it is not their turn.
   */
  #planWhole(): boolean {
    const { chunkTokens, logitsRows } = this.#in;
    let first: S | null = null, oldest: S | null = null;
    let othersWait = false;
    for (let i = 0; i < this.#candidates.length; i++) {
      if (this.#candidates[i].wholeRows === 0) othersWait = true;
      else oldest ??= this.#candidates[i];
      if (i < this.#promptCount && this.#prompts[i].wholeRows > 0) first ??= this.#prompts[i];
    }
    this.#wasWhole = first !== null && !(this.#wasWhole && othersWait);
    if (first === null || !this.#wasWhole) return false;
    const isOldests = this.#promptTurn++ % SHARE_OF_OLDEST === SHARE_OF_OLDEST - 1;
    if (isOldests) first = oldest!;
    const { wholeRows: rows } = first;
    check(rows <= chunkTokens, "rows that are not parted fit into a step");
    const logits = rows === pendingOf(first) ? 1 : 0;
    this.#takeGenerating(Math.min(chunkTokens - rows, logitsRows - logits));
    this.#take(first, rows);
    return true;
  }

  #planTogether(rowsMax: number): void {
    const { logitsRows } = this.#in;
    const forPrompts = this.#promptCount === 0 ? 0 : Math.ceil(rowsMax / SHARE_OF_OLDEST);
    // One that ends its prompt wants logits, too.
    const most = Math.min(rowsMax - forPrompts, logitsRows - (forPrompts > 0 ? 1 : 0));
    this.#takeGenerating(most);
    let logits = this.count;
    let left = rowsMax - logits;
    const oldest = this.#oldestPrompt();
    const ofOldest = oldest === null ? 0 : Math.ceil(left / SHARE_OF_OLDEST);
    // Who comes before the oldest leaves it its part.
    let kept = oldest === null ? 0 : Math.min(ofOldest, oldest.freeRows);
    // Whose first token comes of the step shall not wait for what would only fill it up; but not
    // twice running, or many short prompts would leave a long one its part and no more.
    const mayBeShort = !this.#wasShort;
    let isAwaited = false;
    this.#wasShort = false;
    for (let i = 0; i < this.#promptCount && left > 0; i++) {
      const sequence = this.#prompts[i];
      if (sequence === oldest) kept = 0;
      let count = Math.min(sequence.freeRows, left - kept);
      if (isAwaited && mayBeShort && count < pendingOf(sequence)) {
        count = sequence === oldest ? Math.min(count, ofOldest) : 0;
        this.#wasShort = true;
      }
      // The last row of a prompt wants logits.
      if (count === pendingOf(sequence) && logits === logitsRows) count--;
      if (count <= 0) continue;
      if (count === pendingOf(sequence)) {
        logits++;
        isAwaited = true;
      }
      this.#take(sequence, count);
      left -= count;
    }
    this.spare = this.#wasShort ? 0 : Math.min(left, logitsRows - logits);
  }

  /** A row for each that generates; where that are too many, those that it is the turn of. */
  #takeGenerating(most: number): void {
    const count = this.#candidates.length;
    let taken = 0;
    let last = -1;
    for (let i = 0; i < count && taken < most; i++) {
      const at = (this.#turn + i) % count;
      if (!this.#candidates[at].isGenerating) continue;
      this.#take(this.#candidates[at], 1);
      taken++;
      last = at;
    }
    // In order while all of them fit.
    this.#turn = taken === most && last >= 0 ? (last + 1) % count : 0;
  }

  /** A step of those that generate, before each chunk of a prompt; false: it is not their turn. */
  #sharesStep(): boolean {
    const { sharesAnswers = false, chunkTokens, logitsRows } = this.#in;
    if (!sharesAnswers || logitsRows === 1 || this.#promptCount === this.#candidates.length) {
      return false;
    }
    this.#wasShared = this.#promptCount === 0 || !this.#wasShared;
    if (this.#wasShared) this.#takeGenerating(Math.min(chunkTokens, logitsRows));
    else this.#planPrompt();
    return true;
  }

  /** One sequence: those that generate have a row each, then a prompt has a chunk. */
  #planTurn(): void {
    const count = this.#candidates.length;
    if (this.#promptCount < count) {
      const isPromptsTurn = this.#promptCount > 0 && this.#turn >= count;
      for (let i = this.#turn; i < count && !isPromptsTurn; i++) {
        if (!this.#candidates[i].isGenerating) continue;
        this.#turn = i + 1;
        return this.#take(this.#candidates[i], 1);
      }
      this.#turn = 0;
      if (this.#promptCount === 0) return this.#planTurn();
    }
    this.#planPrompt();
  }

  /** A chunk of a prompt. */
  #planPrompt(): void {
    const isOldests = this.#promptTurn++ % SHARE_OF_OLDEST === SHARE_OF_OLDEST - 1;
    const sequence = isOldests ? this.#oldestPrompt()! : this.#prompts[0];
    const { chunkTokens } = this.#in;
    const chunk = chunkTokens - sequence.computed % chunkTokens;
    this.#take(sequence, sequence.wholeRows || Math.min(chunk, sequence.freeRows));
  }

  #oldestPrompt(): S | null {
    for (let i = 0; i < this.#candidates.length; i++) {
      if (!this.#candidates[i].isGenerating) return this.#candidates[i];
    }
    return null;
  }

  #take(sequence: S, rows: number): void {
    this.sequences[this.count] = sequence;
    this.rows[this.count++] = rows;
  }
}

function isBehind({ priority }: Schedulable): boolean {
  return priority <= BACKGROUND_PRIORITY;
}

function pendingOf({ known, computed }: Schedulable): number {
  return known - computed;
}

function isBefore(a: Schedulable, b: Schedulable): boolean {
  if (a.priority !== b.priority) return a.priority > b.priority;
  return pendingOf(a) < pendingOf(b);
}
