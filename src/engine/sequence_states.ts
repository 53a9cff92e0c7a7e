/**
 * States of the sequences that are under way: where a step reads them and where it writes them, and
 * at which positions they are remembered. A sequence's rows are cut into segments there, each of
 * which goes on with the state that the one before it leaves. Allocates nothing per step.
 */
import { check } from "../base/check.ts";
import { KV_BLOCK_POSITIONS as TOKENS } from "../memory/kv_layout.ts";
import type { TokenChain } from "../rank/gpu/token_chain.ts";
import type { KvBlocks } from "./kv_blocks.ts";
import type { Sequence } from "./sequence.ts";
import type { StatePlaces } from "./state_places.ts";
import type { StepRunner } from "./step_runner.ts";

/** A state that the step under way writes: words of a record. */
const SLOT = 0;
/** Tokens that it is of. */
const POSITION = 1;
const PLACE = 2;
const RECORD_WORDS = 3;

/** Who takes the segments. */
type Steps = Pick<StepRunner, "add" | "chain">;

/** Most borders within a step at which a sequence leaves states: for more there are no places. */
const BORDERS_MAX = 2;

export class SequenceStates {
  readonly places: StatePlaces;
  readonly #kv: Pick<KvBlocks, "contentBefore">;
  /** By slot: the place of the sequence's state, -1: it has none yet; */
  readonly #current: Int32Array;
  /** positions at which it is to be remembered; */
  readonly #borders: number[][];
  /** and the content that it is remembered for as far as the answer has come; 0: none. */
  readonly #answered: Float64Array;
  /** [writtenCount, RECORD_WORDS], in the order in which the step writes them. */
  readonly #written: Int32Array;
  #writtenCount = 0;
  /** Of the segment that is added. */
  readonly #segment = { from: -1, to: -1 };

  constructor(kv: Pick<KvBlocks, "contentBefore">, places: StatePlaces, slots: number) {
    this.places = places;
    this.#written = new Int32Array(RECORD_WORDS * places.count);
    this.#kv = kv;
    this.#current = new Int32Array(slots).fill(-1);
    this.#borders = Array.from({ length: slots }, () => []);
    this.#answered = new Float64Array(slots);
  }

  /** The sequence goes on behind `reused` tokens; `common` begin as others have begun. */
  open({ slot, promptTokens, isRepeatable }: Sequence, reused: number, common: number): void {
    let place = -1;
    if (reused > 0) {
      place = this.places.find(this.#kv.contentBefore(slot, reused), isRepeatable);
      this.places.hold(place);
    }
    this.#current[slot] = place;
    this.#answered[slot] = 0;
    this.#borders[slot] = [];
    // Texts that go on behind this prompt, or begin as this one and another do.
    this.want(slot, promptTokens - 1);
    this.want(slot, common);
  }

  /** The state behind the last whole block of so many tokens will be used again. */
  want(slot: number, tokens: number): void {
    const border = tokens - tokens % TOKENS;
    if (border > 0 && !this.#borders[slot].includes(border)) this.#borders[slot].push(border);
  }

  /** Adds rows of the sequence to the step, or its chain; logits: of how many of the last ones. */
  add(steps: Steps, sequence: Sequence, rows: number, logits: number): void {
    const { slot, computed } = sequence;
    if (steps.chain !== null && steps.chain.tokens > 1) {
      return this.#addChain(steps, sequence, steps.chain);
    }
    const end = computed + rows;
    let bordersLeft = BORDERS_MAX;
    for (let from = computed; from < end;) {
      const border = bordersLeft > 0 ? this.#borderBehind(slot, from) : end;
      // What follows the last known id is guessed: each guess may be the last right one.
      const position = Math.min(border, Math.max(sequence.known, from + 1), end);
      if (position === border) bordersLeft--;
      const wanted = Math.max(0, Math.min(position - from, logits - (end - position)));
      this.#segment.from = from === computed ? this.#current[slot] : this.#segment.to;
      this.#segment.to = this.#write(slot, position);
      steps.add(sequence, from, position - from, wanted, this.#segment);
      from = position;
    }
  }

  /** The first border behind a position; Infinity: there is none. */
  #borderBehind(slot: number, position: number): number {
    const borders = this.#borders[slot];
    let first = Infinity;
    for (let i = 0; i < borders.length; i++) {
      if (borders[i] > position && borders[i] < first) first = borders[i];
    }
    return first;
  }

  /** A place for the state that the step leaves behind so many tokens of the sequence. */
  #write(slot: number, position: number): number {
    const place = this.places.take();
    const at = RECORD_WORDS * this.#writtenCount++;
    this.#written[at + SLOT] = slot;
    this.#written[at + POSITION] = position;
    this.#written[at + PLACE] = place;
    return place;
  }

  /**
   * A chain begins with the sequence's next row: each of its tokens leaves a state, and so do those
   * that are ahead of the next one.
   */
  #addChain(
    steps: Steps,
    sequence: Sequence,
    { chained, states }: Pick<TokenChain, "chained" | "states">,
  ): void {
    const { slot, computed } = sequence;
    // What the chain before has gone ahead with has left some.
    const there = this.#writtenCount;
    check(there < chained, "a chain goes on behind what is there");
    for (let i = 0; i < there; i++) {
      const at = RECORD_WORDS * i;
      check(this.#written[at + POSITION] === computed + i + 1, "states of this chain's tokens");
      states[i] = this.#written[at + PLACE];
    }
    for (let i = there; i < chained; i++) states[i] = this.#write(slot, computed + i + 1);
    this.#segment.from = this.#current[slot];
    this.#segment.to = states[0];
    steps.add(sequence, computed, 1, 1, this.#segment);
  }

  /**
   * The step counts for the sequence as far as it has come, and its blocks are remembered so far.
   */
  keep(sequence: Sequence): void {
    const { slot, computed } = sequence;
    const written = this.#written;
    let left = 0;
    for (let i = 0; i < this.#writtenCount; i++) {
      const at = RECORD_WORDS * i;
      const position = written[at + POSITION], place = written[at + PLACE];
      if (written[at + SLOT] === slot && position <= computed) {
        this.#remember(sequence, position, place);
        this.places.leave(this.#current[slot]);
        this.#current[slot] = place;
      } else written.copyWithin(RECORD_WORDS * left++, at, at + RECORD_WORDS);
    }
    this.#writtenCount = left;
  }

  #remember({ slot, promptTokens, isExact }: Sequence, position: number, place: number): void {
    if (position % TOKENS !== 0) return;
    const isAnswers = position > promptTokens;
    if (!isAnswers && !this.#borders[slot].includes(position)) return;
    const content = this.#kv.contentBefore(slot, position);
    this.places.remember(content, place, isExact);
    if (!isAnswers) return;
    // The one before it, of the same answer, has had its time.
    if (this.#answered[slot] !== content) this.places.forget(this.#answered[slot]);
    this.#answered[slot] = content;
  }

  /** What is left does not count: all of a step, the end of a chain, or what was ahead of one. */
  drop(): void {
    for (let i = 0; i < this.#writtenCount; i++) {
      this.places.leave(this.#written[RECORD_WORDS * i + PLACE]);
    }
    this.#writtenCount = 0;
  }

  close(slot: number): void {
    this.places.leave(this.#current[slot]);
    this.#current[slot] = -1;
  }
}
