/**
 * States of the sequences that are under way: where a step reads them and where it writes them, and
 * at which positions they are remembered. A sequence's rows are cut into segments there, each of
 * which goes on with the state that the one before it leaves.
 */
import { KV_BLOCK_POSITIONS as TOKENS } from "../memory/kv_layout.ts";
import type { TokenChain } from "../rank/gpu/token_chain.ts";
import type { KvBlocks } from "./kv_blocks.ts";
import type { Sequence } from "./sequence.ts";
import type { StatePlaces } from "./state_places.ts";
import type { StepRunner } from "./step_runner.ts";

/** A state that the step under way writes. */
interface Written {
  readonly slot: number;
  /** Tokens that it is of. */
  readonly position: number;
  readonly place: number;
}

/** Most borders within a step at which a sequence leaves states: for more there are no places. */
const BORDERS_MAX = 2;

export class SequenceStates {
  readonly places: StatePlaces;
  readonly #kv: KvBlocks;
  /** By slot: the place of the sequence's state, -1: it has none yet; */
  readonly #current: Int32Array;
  /** positions at which it is to be remembered; */
  readonly #borders: number[][];
  /** and the content that it is remembered for as far as the answer has come; 0: none. */
  readonly #answered: Float64Array;
  #written: Written[] = [];

  constructor(kv: KvBlocks, places: StatePlaces, slots: number) {
    this.places = places;
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
  add(steps: StepRunner, sequence: Sequence, rows: number, logits: number): void {
    const { slot, computed } = sequence;
    if (steps.chain !== null && steps.chain.tokens > 1) {
      return this.#addChain(steps, sequence, steps.chain);
    }
    const end = computed + rows;
    const cuts = this.#borders[slot].filter((border) => border > computed && border < end)
      .sort((a, b) => a - b).slice(0, BORDERS_MAX);
    // What follows the last known id is guessed: each guess may be the last right one.
    for (let position = sequence.known; position < end; position++) {
      if (!cuts.includes(position)) cuts.push(position);
    }
    let from = computed;
    let place = this.#current[slot];
    for (const position of [...cuts, end]) {
      const to = this.places.take();
      const wanted = Math.max(0, Math.min(position - from, logits - (end - position)));
      steps.add(sequence, from, position - from, wanted, { from: place, to });
      this.#written.push({ slot, position, place: to });
      from = position;
      place = to;
    }
  }

  /** A chain begins with the sequence's next row: each of its tokens leaves a state. */
  #addChain(
    steps: StepRunner,
    sequence: Sequence,
    { tokens, states }: Pick<TokenChain, "tokens" | "states">,
  ): void {
    const { slot, computed } = sequence;
    for (let i = 0; i < tokens; i++) {
      states[i] = this.places.take();
      this.#written.push({ slot, position: computed + i + 1, place: states[i] });
    }
    steps.add(sequence, computed, 1, 1, { from: this.#current[slot], to: states[0] });
  }

  /**
   * The step counts for the sequence as far as it has come, and its blocks are remembered so far.
   */
  keep(sequence: Sequence): void {
    const { slot, computed } = sequence;
    const counts = (each: Written) => each.slot === slot && each.position <= computed;
    for (const { position, place } of this.#written.filter(counts)) {
      this.#remember(sequence, position, place);
      this.places.leave(this.#current[slot]);
      this.#current[slot] = place;
    }
    this.#written = this.#written.filter((each) => !counts(each));
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

  /** What is left does not count: all of a step, or the end of a chain. */
  drop(): void {
    for (const { place } of this.#written) this.places.leave(place);
    this.#written = [];
  }

  close(slot: number): void {
    this.places.leave(this.#current[slot]);
    this.#current[slot] = -1;
  }
}
