/**
 * What a text still needs to become a sentence: how many bytes and how many tokens at least, and
 * which. Knows nothing of sampling.
 *
 * Tokens are counted for the completion of fewest bytes, cut into as few tokens as it can be. There
 * may be another one with more bytes and fewer tokens: what is said is enough, not always least.
 */
import type { Configurations } from "./configurations.ts";
import { REPEAT_MAX } from "./limits.ts";
import { BYTES, CALL, END, FREE, SPLIT } from "./network.ts";
import type { ShortestEnds } from "./shortest_ends.ts";
import { HOLE, UNCOUNTED } from "./stack_table.ts";
import type { TokenTrie } from "./token_trie.ts";

/** Longer completions are not cut into tokens: each of their bytes counts as one. */
const CUT_BYTES_MAX = 4096;
/** Bytes of completions that are kept. */
const KEPT_BYTES_MAX = 16 << 20;

/** Completions of the sets of one table, by the tokens of one vocabulary. */
export class Completions {
  readonly #configurations: Configurations;
  readonly #trie: TokenTrie;
  readonly #ends: ShortestEnds;
  /** By stack that is gone on with: bytes to the end of all, NaN where nobody has asked. */
  #rests = new Float64Array(1024).fill(NaN);
  /** By set: the least of its stacks. */
  readonly #bytes: number[] = [];
  /** By set, where somebody asked: the ids of a completion; null: there is none that is known. */
  readonly #ids = new Map<number, Int32Array | null>();
  #keptBytes = 0;
  /** Any text can be written byte by byte. */
  readonly #hasEveryByte: boolean;
  /** [256]: the tree's node of a first byte, -1 where there is none. */
  readonly #firstNodes: Int32Array;

  constructor(configurations: Configurations, trie: TokenTrie, ends: ShortestEnds) {
    this.#configurations = configurations;
    this.#trie = trie;
    this.#ends = ends;
    for (let stack = 0; stack <= HOLE; stack++) this.#rests[stack] = 0;
    this.#firstNodes = new Int32Array(256).fill(-1);
    for (let node = 0; node < trie.nodeCount; node = trie.ends[node]) {
      this.#firstNodes[trie.bytes[node]] = node;
    }
    this.#hasEveryByte = this.#firstNodes.every((node, byte) =>
      isNeverText(byte) || node >= 0 && trie.tokenStarts[node] < trie.tokenStarts[node + 1]
    );
  }

  /** True when what is kept takes more room than it should. */
  get isFull(): boolean {
    return this.#keptBytes > KEPT_BYTES_MAX;
  }

  /** Bytes that are missing at least behind a set, or up to HOLE where that lies below. */
  bytesOf(set: number): number {
    let least = this.#bytes[set];
    if (least !== undefined) return least;
    least = Infinity;
    for (const stack of this.#configurations.membersOf(set)) {
      least = Math.min(least, this.bytesBelow(stack));
    }
    while (this.#bytes.length < set) this.#bytes.push(undefined!);
    return this.#bytes[set] = least;
  }

  /** Bytes that are missing at least when a stack is gone on with. */
  bytesBelow(stack: number): number {
    const { states, counts, below, size } = this.#configurations.stacks;
    while (this.#rests.length < size) {
      const larger = new Float64Array(2 * this.#rests.length).fill(NaN);
      larger.set(this.#rests);
      this.#rests = larger;
    }
    const rests = this.#rests;
    const path: number[] = [];
    for (let at = stack; Number.isNaN(rests[at]); at = below[at]) path.push(at);
    for (let i = path.length - 1; i >= 0; i--) {
      const at = path[i];
      rests[at] = this.#bytesOfTop(states[at], counts[at]) + rests[below[at]];
    }
    return rests[stack];
  }

  #bytesOfTop(state: number, count: number): number {
    const { bytes } = this.#ends;
    if (count === UNCOUNTED) return bytes[state];
    const { b, min } = this.#configurations.network;
    return this.bytesBetween(state, count, min[state] - 1) + bytes[b[state]];
  }

  /** Bytes that a repetition at count `from` needs at least until it is at count `to`. */
  bytesBetween(state: number, from: number, to: number): number {
    const { a, min } = this.#configurations.network;
    const times = Math.min(to, min[state] - 1) - from;
    return times > 0 ? times * this.#ends.bytes[a[state]] : 0;
  }

  /** Whether so many tokens are enough to end behind a set. */
  fits(set: number, tokens: number): boolean {
    if (this.costOf(set, tokens) === 0) {
      return this.#hasEveryByte && this.bytesOf(set) <= tokens;
    }
    const ids = this.idsOf(set);
    return ids !== null && ids.length <= tokens;
  }

  /**
   * Bytes of completions to look at for `fits`, as if nothing were known yet: who has so much to
   * spend comes to the same answers whatever was asked before.
   */
  costOf(set: number, tokens: number): number {
    const bytes = this.bytesOf(set);
    if (this.#hasEveryByte && bytes <= tokens) return 0;
    if (bytes > tokens * this.#trie.depthMax || bytes > CUT_BYTES_MAX) return 0;
    return 1 + bytes;
  }

  /**
   * Ids that end the text behind a set; null: none are known. They are the same whatever was asked
   * before: numbers of stacks, which are not, decide nothing.
   */
  idsOf(set: number): Int32Array | null {
    const known = this.#ids.get(set);
    if (known !== undefined) return known;
    const least = this.bytesOf(set);
    if (least > CUT_BYTES_MAX) return null;
    let ids: Int32Array | null = null;
    for (const stack of this.#configurations.membersOf(set)) {
      if (this.bytesBelow(stack) === least) ids = shorter(ids, this.#cut(this.#textOf(stack)));
    }
    this.#ids.set(set, ids);
    this.#keptBytes += 100 + (ids === null ? 0 : ids.byteLength);
    return ids;
  }

  /** The nearest end behind a stack, as bytes. */
  #textOf(stack: number): number[] {
    const { network: { kinds, a, b, min, max }, stacks } = this.#configurations;
    const { ways } = this.#ends;
    const text: number[] = [];
    if (stack <= HOLE) return text;
    let state = stacks.states[stack];
    let below = stacks.below[stack];
    for (;;) {
      const kind = kinds[state];
      if (kind === BYTES || kind === FREE) {
        text.push(this.#byteTo(state, ways[state]));
        state = ways[state];
      } else if (kind === SPLIT) state = ways[state];
      else if (kind === CALL) {
        if (kinds[b[state]] !== END) below = stacks.push(b[state], UNCOUNTED, below);
        state = a[state];
      } else if (kind !== END) { // a repetition
        if (min[state] > 0) below = stacks.push(state, 0, below);
        state = min[state] > 0 ? a[state] : b[state];
      } else if (below <= HOLE) return text;
      else {
        state = stacks.states[below];
        const count = stacks.counts[below] + 1;
        below = stacks.below[below];
        if (count === UNCOUNTED + 1) continue;
        if (count < min[state]) {
          const counted = max[state] >= REPEAT_MAX ? Math.min(count, min[state]) : count;
          below = stacks.push(state, counted, below);
          state = a[state];
        } else state = b[state];
      }
    }
  }

  #byteTo(state: number, next: number): number {
    const { edgeStarts, edges } = this.#configurations.network;
    let edge = edgeStarts[state];
    while (edges[3 * edge + 2] !== next) edge++;
    return edges[3 * edge];
  }

  /** The fewest ids that spell a text; null: none do. */
  #cut(text: readonly number[]): Int32Array | null {
    const { bytes, ends, tokenStarts, tokens } = this.#trie;
    const count = text.length;
    const fewest = new Float64Array(count + 1).fill(Infinity);
    const lengths = new Int32Array(count);
    const ids = new Int32Array(count);
    fewest[count] = 0;
    for (let from = count - 1; from >= 0; from--) {
      let node = this.#firstNodes[text[from]];
      for (let at = from; node >= 0;) {
        const token = tokenStarts[node];
        if (token < tokenStarts[node + 1] && 1 + fewest[at + 1] < fewest[from]) {
          fewest[from] = 1 + fewest[at + 1];
          lengths[from] = at + 1 - from;
          ids[from] = tokens[token];
        }
        if (++at === count) break;
        const end = ends[node++];
        while (node < end && bytes[node] < text[at]) node = ends[node];
        if (node >= end || bytes[node] !== text[at]) break;
      }
    }
    if (fewest[0] === Infinity) return null;
    const found = new Int32Array(fewest[0]);
    for (let i = 0, at = 0; at < count; at += lengths[at]) found[i++] = ids[at];
    return found;
  }
}

/** The one of fewer ids, of as many the one whose first different id is smaller. */
function shorter(a: Int32Array | null, b: Int32Array | null): Int32Array | null {
  if (a === null || b === null) return a ?? b;
  if (a.length !== b.length) return a.length < b.length ? a : b;
  const at = a.findIndex((id, i) => id !== b[i]);
  return at < 0 || a[at] < b[at] ? a : b;
}

/** Bytes that UTF-8 does not have. */
function isNeverText(byte: number): boolean {
  return byte === 0xc0 || byte === 0xc1 || byte > 0xf4;
}
