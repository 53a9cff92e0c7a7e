/**
 * Guesses of a second, smaller model with the same vocabulary, which the same threads compute: its
 * likeliest id, again and again. It has keys and values of its own for each slot, and follows a
 * sequence by the ids that both have seen: what it guessed wrong is written over. Its guesses cost
 * time, so it says how much, and how good they are. Knows nothing of how the sequence is sampled.
 */
import { STEP_KIND_DRAFT } from "../../memory/control_layout.ts";
import { KV_BLOCK_POSITIONS } from "../../memory/kv_layout.ts";
import { tableBlocks } from "../../rank/plan/kv_bytes.ts";
import type { StepRunner, StepText } from "../step_runner.ts";
import { StepTimes } from "../step_times.ts";
import type { DraftedText, Drafts, GuessCounts, ModelDrafter } from "./drafts.ts";
import { MarginGuesses } from "./margin_guesses.ts";

export class DraftModel implements ModelDrafter {
  readonly followsAnswers = false;
  readonly #steps: StepRunner;
  readonly #contextLength: number;
  readonly #chunkTokens: number;
  /** By slot: ids whose keys and values it has, [contextLength], and how many they are. */
  readonly #ids: readonly Int32Array[];
  readonly #counts: Int32Array;
  /** The same as steps have them. */
  readonly #texts: readonly StepText[];
  /** How far it may go back to any position, and by slot from where: `#goBack`. */
  readonly #reach: number;
  readonly #ends: Int32Array;
  readonly #guesses: MarginGuesses;
  /** How long its steps take. */
  readonly #times: StepTimes;

  /** steps: of the second model; vocabSize: of the first. */
  constructor(steps: StepRunner, vocabSize: number) {
    const { contextLength, chunkTokens, sequences, layers } = steps.runner.plan;
    this.#steps = steps;
    this.#contextLength = contextLength;
    this.#chunkTokens = chunkTokens;
    this.#times = new StepTimes(chunkTokens);
    this.#ids = Array.from({ length: sequences }, () => new Int32Array(contextLength));
    this.#texts = this.#ids.map((ids, slot) => ({ slot, ids, spans: [] }));
    this.#counts = new Int32Array(sequences);
    this.#reach = layers.some(({ convolution }) => convolution !== null) ? chunkTokens : Infinity;
    this.#ends = new Int32Array(sequences);
    this.#guesses = new MarginGuesses(steps.board, {
      slots: sequences,
      vocabSize: Math.min(vocabSize, steps.board.vocabSize),
    });
    const blocks = tableBlocks(contextLength);
    for (let slot = 0; slot < sequences; slot++) {
      for (let i = 0; i < blocks; i++) steps.setBlock(slot, i, slot * blocks + i);
    }
  }

  /** Milliseconds that one more guess takes; 0: nobody knows yet. */
  get guessMs(): number {
    return this.#times.estimate(1);
  }

  /**
   * Milliseconds that the next `guesses` of a text take, of which it first reads what others have
   * chosen since it was asked last; 0: nobody knows yet.
   */
  costMs({ slot, ids, known }: DraftedText, guesses: number): number {
    const rows = Math.min(known - this.#sameAs(slot, ids, known - 1), this.#chunkTokens);
    return this.#times.estimate(rows) + (guesses - 1) * this.guessMs;
  }

  /** How likely the slot's next guess is right, before it is made. */
  chanceOf(slot: number): number {
    return this.#guesses.chanceOf(slot);
  }

  /** What the slot's sequence before it left is used again as far as both begin alike. */
  open(slot: number): void {
    this.#guesses.open(slot);
  }

  /** Reads a piece of what the other model has read of a prompt: the first `count` ids. */
  follow({ slot, ids }: DraftedText, count: number): void {
    const end = Math.min(count, this.#contextLength);
    const same = this.#sameAs(slot, ids, end);
    if (end > same) this.#read(slot, ids, Math.min(end, same + this.#chunkTokens), 0);
  }

  /** least: behind a guess less likely than that, all before it right as well, none is made. */
  propose(text: DraftedText, most: number, drafts: Drafts, least = 0): void {
    const { slot, ids, known } = text;
    const room = Math.min(most, this.#contextLength - known + 1);
    if (room < 1) return;
    const same = this.#sameAs(slot, ids, known - 1);
    if (known - same > this.#chunkTokens) return this.follow(text, known - 1);
    if (!this.#read(slot, ids, known, 1)) return;
    const own = this.#ids[slot];
    let chance = 1;
    for (let n = 0; n < room; n++) {
      if (n > 0) {
        own[known + n - 1] = drafts.ids[n - 1];
        if (!this.#run(slot, known + n, 1)) return;
      }
      if (!this.#guesses.add(slot, drafts, n)) return;
      chance *= drafts.odds[n];
      if (chance < least) return;
    }
  }

  learn(slot: number, drafts: Drafts, counts: GuessCounts): void {
    this.#guesses.learn(slot, drafts, counts);
  }

  /** Of so many ids, how many first ones have their keys and values already. */
  #sameAs(slot: number, ids: Int32Array, count: number): number {
    const own = this.#ids[slot];
    const most = Math.min(count, this.#counts[slot]);
    let same = 0;
    while (same < most && own[same] === ids[same]) same++;
    return this.#counts[slot] = this.#goBack(slot, same);
  }

  /**
   * What layers that convolve keep of every position is gone a step further back, but at the ends
   * of blocks: from there on ids are computed again.
   */
  #goBack(slot: number, count: number): number {
    if (this.#ends[slot] - count <= this.#reach) return count;
    return this.#ends[slot] = count - count % KV_BLOCK_POSITIONS;
  }

  /** Computes the ids below index `end` that it does not have yet; false: it could not. */
  #read(slot: number, ids: Int32Array, end: number, logits: number): boolean {
    const own = this.#ids[slot];
    for (let i = this.#counts[slot]; i < end; i++) {
      // A table may have more rows than its vocabulary has texts, and one of them more than both.
      if (ids[i] >= this.#steps.board.vocabSize) return false;
      own[i] = ids[i];
    }
    return this.#run(slot, end, logits);
  }

  /** A step of the slot's own ids up to `end`; false: it was aborted, somebody has left. */
  #run(slot: number, end: number, logits: number): boolean {
    const from = this.#counts[slot];
    this.#ends[slot] = Math.max(this.#ends[slot], end);
    this.#times.start();
    this.#steps.begin(STEP_KIND_DRAFT);
    this.#steps.add(this.#texts[slot], from, end - from, logits);
    if (!this.#steps.run()) return false;
    this.#times.stop(end - from);
    this.#counts[slot] = end;
    if (logits > 0) this.#steps.takeRow(0);
    return true;
  }
}
