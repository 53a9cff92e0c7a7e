/**
 * What the blocks of a pool hold as far as it is known: ids, the content before them, and whether
 * keys and values are a cold prompt's to the bit. A block may hold the beginning of one only. Which
 * blocks follow a content is in lists, in no order. Allocates nothing per token.
 */
import { check } from "../base/check.ts";
import { KV_BLOCK_POSITIONS as TOKENS } from "../memory/kv_layout.ts";

/** The beginning of a block, which is that of a text, too. */
export interface BlockPart {
  readonly block: number;
  readonly tokens: number;
}

/** Of a block, what a text may use. */
export interface PartRequest {
  /** The content before `ids[at …]`. */
  readonly before: number;
  readonly ids: Int32Array;
  readonly at: number;
  /** So many ids at most. */
  readonly most: number;
  readonly isExact: boolean;
  /** Whether so many of a text's ids may be computed without those behind them. */
  readonly mayEndAt: (tokens: number) => boolean;
}

const NONE = -1;

export class BlockTexts {
  /** By block: how many ids are known, and them, [blocks, 32]; the content before; exactness. */
  readonly #counts: Uint8Array;
  readonly #ids: Int32Array;
  readonly #before: Float64Array;
  readonly #isExact: Uint8Array;
  /** The first block behind a content; and by block the next one behind the same, and the last. */
  readonly #first = new Map<number, number>();
  readonly #next: Int32Array;
  readonly #previous: Int32Array;

  constructor(blocks: number) {
    this.#counts = new Uint8Array(blocks);
    this.#ids = new Int32Array(blocks * TOKENS);
    this.#before = new Float64Array(blocks);
    this.#isExact = new Uint8Array(blocks);
    this.#next = new Int32Array(blocks).fill(NONE);
    this.#previous = new Int32Array(blocks).fill(NONE);
  }

  /** How many ids of the block are known; 0: it holds nothing. */
  countOf(block: number): number {
    return this.#counts[block];
  }

  beforeOf(block: number): number {
    return this.#before[block];
  }

  /** i32 [32], a view. */
  idsOf(block: number): Int32Array {
    return this.#ids.subarray(block * TOKENS, (block + 1) * TOKENS);
  }

  isExact(block: number): boolean {
    return this.#isExact[block] === 1;
  }

  markExact(block: number): void {
    this.#isExact[block] = 1;
  }

  /** The block holds `ids[at .. at + count)` behind a content; it held nothing. */
  begin(
    block: number,
    before: number,
    ids: Int32Array,
    at: number,
    count: number,
    isExact: boolean,
  ): void {
    check(this.#counts[block] === 0, "a block holds one text");
    this.#link(block, before);
    this.#isExact[block] = 1;
    this.extend(block, ids, at, count, isExact);
  }

  /** Of ids from `at` on of which it holds the first ones it holds `count`. Exact if all are. */
  extend(block: number, ids: Int32Array, at: number, count: number, isExact: boolean): void {
    for (let i = this.#counts[block]; i < count; i++) this.#ids[block * TOKENS + i] = ids[at + i];
    this.#counts[block] = count;
    if (!isExact) this.#isExact[block] = 0;
  }

  /** The block holds nothing that is known. */
  drop(block: number): void {
    if (this.#counts[block] === 0) return;
    this.#counts[block] = 0;
    const next = this.#next[block], previous = this.#previous[block];
    if (next !== NONE) this.#previous[next] = previous;
    if (previous !== NONE) this.#next[previous] = next;
    else if (next !== NONE) this.#first.set(this.#before[block], next);
    else this.#first.delete(this.#before[block]);
  }

  /** Of a whole block: it holds these ids behind that content. */
  holds(block: number, before: number, ids: Int32Array, at: number): boolean {
    return this.#before[block] === before && this.#commonWith(block, ids, at, TOKENS) === TOKENS;
  }

  /** The block that begins as the text goes on, of those that do so for longest; null: none. */
  longest({ before, ids, at, most, isExact, mayEndAt }: PartRequest): BlockPart | null {
    let best: BlockPart | null = null;
    for (let block = this.#first.get(before) ?? NONE; block !== NONE; block = this.#next[block]) {
      if (isExact && !this.isExact(block)) continue;
      let tokens = this.#commonWith(block, ids, at, Math.min(most, this.#counts[block]));
      while (tokens > 0 && !mayEndAt(at + tokens)) tokens--;
      if (tokens > (best?.tokens ?? 0)) best = { block, tokens };
    }
    return best;
  }

  /** Whether another block is as good as this one: begins as all of it. */
  isCovered(block: number): boolean {
    for (let other = this.#first.get(this.#before[block])!; other !== NONE;) {
      if (other !== block && this.#covers(other, block)) return true;
      other = this.#next[other];
    }
    return false;
  }

  #covers(block: number, part: number): boolean {
    const count = this.#counts[part];
    return count <= this.#counts[block] && (this.isExact(block) || !this.isExact(part)) &&
      this.#commonWith(block, this.#ids, part * TOKENS, count) === count;
  }

  #commonWith(block: number, ids: Int32Array, at: number, most: number): number {
    let count = 0;
    while (count < most && this.#ids[block * TOKENS + count] === ids[at + count]) count++;
    return count;
  }

  #link(block: number, before: number): void {
    const next = this.#first.get(before) ?? NONE;
    this.#before[block] = before;
    this.#next[block] = next;
    this.#previous[block] = NONE;
    if (next !== NONE) this.#previous[next] = block;
    this.#first.set(before, block);
  }
}
