/**
 * The frames of a region, least recently used first, cheap to touch. A touch only writes the
 * number of the step into a frame's record; the frame stays where it is. Frames lie in buckets, one
 * for each step; a frame's bucket is never later than its last use. Whoever looks for a victim
 * takes the head of the oldest bucket and, where the frame was used since, moves it to the bucket
 * of that use: so the victim is always one of those whose last use is longest ago, exact to a step,
 * and a frame is moved at most once for each eviction or step, not for each use. Frames of one step
 * have no order.
 *
 * A record is four words of an Int32Array, a quarter of a cache line, which lists share by having
 * their own frames and sentinels: [previous, next, step of the last use, meta]. Meta is a state in
 * its two low bits and a count of pins above. Knows nothing of neurons.
 */
import { check } from "../base/check.ts";

export const RECORD_WORDS = 4;
const PREVIOUS = 0;
const NEXT = 1;
export const USED_AT = 2;
export const META = 3;

/** Meta of what is free: state 0, no pins. */
const FREE = 0;

/** True where nothing holds a frame: no pins, and one of the two upper states. */
export function isEvictable(meta: number): boolean {
  return meta >>> 1 === 1;
}

export class FrameList {
  /** Frames that are evictable; who writes a record's meta past setMeta() counts, too. */
  evictable = 0;
  readonly #records: Int32Array;
  readonly #firstBucket: number;
  readonly #bucketMask: number;
  readonly #free: number;
  /** No frame is in an earlier bucket. */
  #oldest = 0;
  #now = 0;

  /** Records of sentinels that a list with so many buckets needs. */
  static sentinels(buckets: number): number {
    return buckets + 1;
  }

  /**
   * records: i32 [all frames and sentinels][4]; firstSentinel: where this list's sentinels begin.
   * buckets: steps whose order is kept, a power of two; uses longer ago have no order.
   */
  constructor(records: Int32Array, firstSentinel: number, buckets: number) {
    check((buckets & (buckets - 1)) === 0, "buckets are a power of two");
    this.#records = records;
    this.#firstBucket = firstSentinel;
    this.#bucketMask = buckets - 1;
    this.#free = firstSentinel + buckets;
    for (let frame = firstSentinel; frame <= this.#free; frame++) this.#link(frame, frame);
  }

  /** Begins step `now`, the one after the last. */
  beginStep(now: number): void {
    this.#now = now;
    if (now - this.#oldest <= this.#bucketMask) return;
    // The oldest bucket's place is needed: its frames go in front of the next one's.
    const from = this.#bucket(this.#oldest);
    this.#oldest++;
    const first = this.#next(from);
    if (first === from) return;
    const to = this.#bucket(this.#oldest);
    this.#link(this.#records[from * RECORD_WORDS + PREVIOUS], this.#next(to));
    this.#link(to, first);
    this.#link(from, from);
  }

  meta(frame: number): number {
    return this.#records[frame * RECORD_WORDS + META];
  }

  setMeta(frame: number, meta: number): void {
    const at = frame * RECORD_WORDS + META;
    this.evictable += Number(isEvictable(meta)) - Number(isEvictable(this.#records[at]));
    this.#records[at] = meta;
  }

  usedAt(frame: number): number {
    return this.#records[frame * RECORD_WORDS + USED_AT];
  }

  /** Says that a frame is used now. */
  touch(frame: number): void {
    this.#records[frame * RECORD_WORDS + USED_AT] = this.#now;
  }

  /** Puts a frame that is in no list among the free ones, to be taken after all that are there. */
  addFree(frame: number): void {
    check(this.meta(frame) === FREE, "a frame among the free ones is free");
    this.#append(this.#free, frame);
  }

  /** Puts a frame that is in no list among those that were used when it was. */
  add(frame: number): void {
    // Uses longer ago than there are buckets are as old as the oldest.
    const step = Math.max(this.usedAt(frame), this.#oldest);
    this.#append(this.#bucket(step), frame);
  }

  /** Takes a frame out of where it is. */
  remove(frame: number): void {
    const at = frame * RECORD_WORDS;
    this.#link(this.#records[at + PREVIOUS], this.#records[at + NEXT]);
  }

  get hasFree(): boolean {
    return this.#next(this.#free) !== this.#free;
  }

  /** Takes a free frame. @returns -1: there is none */
  takeFree(): number {
    const frame = this.#next(this.#free);
    if (frame === this.#free) return -1;
    this.remove(frame);
    return frame;
  }

  /** Takes the least recently used of the evictable frames. @returns -1: there is none */
  takeVictim(): number {
    if (this.evictable === 0) return -1;
    while (true) {
      const bucket = this.#bucket(this.#oldest);
      const frame = this.#next(bucket);
      if (frame === bucket) {
        check(this.#oldest < this.#now, "evictable frames are in the list");
        this.#oldest++;
        continue;
      }
      this.remove(frame);
      if (!isEvictable(this.meta(frame))) {
        // What is held counts as used: it gets its time once more when it is let go.
        this.touch(frame);
        this.add(frame);
      } else if (this.usedAt(frame) > this.#oldest) this.add(frame);
      else return frame;
    }
  }

  #bucket(step: number): number {
    return this.#firstBucket + (step & this.#bucketMask);
  }

  #next(frame: number): number {
    return this.#records[frame * RECORD_WORDS + NEXT];
  }

  #append(sentinel: number, frame: number): void {
    this.#link(this.#records[sentinel * RECORD_WORDS + PREVIOUS], frame);
    this.#link(frame, sentinel);
  }

  #link(before: number, after: number): void {
    this.#records[before * RECORD_WORDS + NEXT] = after;
    this.#records[after * RECORD_WORDS + PREVIOUS] = before;
  }
}
