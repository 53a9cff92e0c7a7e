/**
 * Places of states of sequences: who has which, and which of them are remembered for texts that
 * begin alike. A state is of all tokens before a position and cannot be taken apart, so what is
 * remembered is a state behind a whole block of keys and values, by the number of the block's
 * content (kv_blocks.ts). Nothing is ever copied: a step reads one place and writes another.
 * Arithmetic over numbers of places: knows neither memories nor models.
 */
import { check } from "../base/check.ts";
import { BlockList } from "./block_list.ts";

export class StatePlaces {
  readonly count: number;
  /** By place: who has it, memory counts, too; the content that it is remembered for, or 0. */
  readonly #uses: Int32Array;
  readonly #contents: Float64Array;
  readonly #isExact: Uint8Array;
  readonly #free: BlockList;
  /** Those that only memory has, the longest unused first. */
  readonly #asleep: BlockList;
  readonly #byContent = new Map<number, number>();

  constructor(places: number) {
    this.count = places;
    this.#uses = new Int32Array(places);
    this.#contents = new Float64Array(places);
    this.#isExact = new Uint8Array(places);
    this.#free = new BlockList(places);
    this.#asleep = new BlockList(places);
    for (let place = 0; place < places; place++) this.#free.addLast(place);
  }

  /** Places that `take` could give. */
  get available(): number {
    return this.#free.count + this.#asleep.count;
  }

  /** States that are remembered. */
  get remembered(): number {
    return this.#byContent.size;
  }

  /** A place to write to, for whoever leaves it; what was not used for longest makes room. */
  take(): number {
    check(this.available > 0, "there is a place for each sequence, and another one for its step");
    if (this.#free.count === 0) this.#forgetAt(this.#asleep.first);
    const place = this.#free.first;
    this.#free.remove(place);
    this.#uses[place] = 1;
    return place;
  }

  /** One more has the place. */
  hold(place: number): void {
    if (this.#contents[place] !== 0 && this.#uses[place] === 1) this.#asleep.remove(place);
    this.#uses[place]++;
  }

  /** One less has it; -1: nobody had any. */
  leave(place: number): void {
    if (place < 0) return;
    const uses = --this.#uses[place];
    if (uses === 0) this.#free.addFirst(place);
    else if (uses === 1 && this.#contents[place] !== 0) this.#asleep.addLast(place);
  }

  /** What is behind the content is in the place, which somebody has. An exact state stays. */
  remember(content: number, place: number, isExact: boolean): void {
    if (content <= 0 || this.#contents[place] !== 0) return;
    const other = this.#byContent.get(content);
    if (other !== undefined) {
      if (!isExact || this.#isExact[other] === 1) return;
      this.#forgetAt(other);
    }
    this.#byContent.set(content, place);
    this.#contents[place] = content;
    this.#isExact[place] = isExact ? 1 : 0;
    this.#uses[place]++;
  }

  /** The place of the state behind the content; -1: none, or none that is exact. */
  find(content: number, isExact: boolean): number {
    const place = this.#byContent.get(content) ?? -1;
    return place >= 0 && isExact && this.#isExact[place] === 0 ? -1 : place;
  }

  /** The state behind the content will not be used again. */
  forget(content: number): void {
    const place = this.#byContent.get(content);
    if (place !== undefined) this.#forgetAt(place);
  }

  #forgetAt(place: number): void {
    this.#byContent.delete(this.#contents[place]);
    if (this.#uses[place] === 1) this.#asleep.remove(place);
    this.#contents[place] = 0;
    this.leave(place);
  }
}
