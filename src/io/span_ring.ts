/**
 * Room for what reads bring that does not go straight to its address, taken one behind the other,
 * around the end. Knows owners by small numbers, and not what they read.
 */
import { alignUp, check } from "../base/check.ts";
import { MiB } from "../base/units.ts";
import { SECTOR_BYTES_MAX } from "./disk.ts";

/** Of a rank: about four hundred reads of a neuron. */
export const SPANS_BYTES = 2 * MiB;
const PAGE_BYTES = 65536;
/** Rooms do not overlap, and none is smaller than a sector. */
const ROOMS_MAX = SPANS_BYTES / SECTOR_BYTES_MAX;
/** A room in the queue: its owner, where it begins, where it ends. */
const ROOM_WORDS = 3;

export class SpanRing {
  /** Begins at a page, as O_DIRECT wants it. */
  readonly bytes: Uint8Array = new Uint8Array(
    new WebAssembly.Memory({ initial: SPANS_BYTES / PAGE_BYTES }).buffer,
  );
  /** By owner: where its room begins; -1: it has none. */
  readonly #starts: Int32Array;
  /** Rooms, oldest first: they lie in this order from `#next` on, around the end. */
  readonly #rooms = new Int32Array(ROOM_WORDS * ROOMS_MAX);
  #first = 0;
  #count = 0;
  #next = 0;

  /** Of owners 0 .. owners-1. */
  constructor(owners: number) {
    this.#starts = new Int32Array(owners).fill(-1);
  }

  /** Where an owner's room begins, or -1. */
  startOf(owner: number): number {
    return this.#starts[owner];
  }

  /** An owner needs its room no more. */
  release(owner: number): void {
    this.#starts[owner] = -1;
  }

  /**
   * Takes room for an owner that has none.
   * @returns -1: it has it; else whose room is in the way and is given up with this call: once the
   *   owner is through with it, ask again.
   */
  reserve(owner: number, sizeBytes: number): number {
    const size = alignUp(sizeBytes, SECTOR_BYTES_MAX);
    check(size <= SPANS_BYTES, "a span has room");
    if (this.#next + size > SPANS_BYTES) {
      const held = this.#giveUp(this.#next, SPANS_BYTES);
      if (held >= 0) return held;
      this.#next = 0;
    }
    const end = this.#next + size;
    const held = this.#giveUp(this.#next, end);
    if (held >= 0) return held;
    const at = ROOM_WORDS * ((this.#first + this.#count) % ROOMS_MAX);
    this.#rooms[at] = owner;
    this.#rooms[at + 1] = this.#next;
    this.#rooms[at + 2] = end;
    this.#count++;
    this.#starts[owner] = this.#next;
    this.#next = end;
    return -1;
  }

  /** Takes the oldest room that reaches into bytes from .. to-1. @returns its owner, or -1. */
  #giveUp(from: number, to: number): number {
    while (this.#count > 0) {
      const at = ROOM_WORDS * this.#first;
      const [owner, start, end] = [this.#rooms[at], this.#rooms[at + 1], this.#rooms[at + 2]];
      if (start >= to || end <= from) return -1;
      this.#first = (this.#first + 1) % ROOMS_MAX;
      this.#count--;
      if (this.#starts[owner] === start) return owner;
    }
    return -1;
  }
}
