/**
 * Which tokens fit behind what has been read. The answer is put together from parts that depend on
 * the top of a stack only, which are found out once by a walk through the vocabulary and kept, and
 * from short walks through what may follow where such a top has ended. Knows nothing of sampling.
 */
import { RequestError } from "../base/errors.ts";
import { type Configurations, DEAD_SET } from "./configurations.ts";
import { REPEAT_MAX } from "./limits.ts";
import { BOTTOM, HOLE, UNCOUNTED } from "./stack_table.ts";
import type { TokenTrie } from "./token_trie.ts";

/** What the top of a stack says of the tokens, whatever lies below. */
interface TopMask {
  /** Tokens that fit: as bits, or as ids where they are few. */
  readonly bits: Uint32Array | null;
  readonly ids: Int32Array | null;
  /** Nodes of the tree at which the top may have ended and that have descendants. */
  readonly exits: Int32Array;
  /** Descendants of these, all together. */
  readonly exitNodes: number;
}

/** Where more than this follows the end of a top, more of the stack is taken into it. */
const EXIT_NODES_MAX = 4096;
/** Rules that a top may consist of. */
const TOP_RULES_MAX = 6;
/** Steps of searching for one mask: a tenth of a second or so. */
const WORK_MAX = 1 << 20;
/** Bytes of masks that are kept. */
const KEPT_BYTES_MAX = 32 << 20;

/** The masks of one table of configurations over one vocabulary. */
export class TokenMasks {
  readonly #configurations: Configurations;
  readonly #trie: TokenTrie;
  readonly #words: number;
  /** By the number of the top as a stack on HOLE. */
  readonly #tops = new Map<number, TopMask>();
  #keptBytes = 0;
  /** [depthMax + 1]: sets on the way to a node. */
  readonly #path: Int32Array;
  readonly #exits: number[] = [];
  #workMax = 0;

  constructor(configurations: Configurations, trie: TokenTrie) {
    this.#configurations = configurations;
    this.#trie = trie;
    this.#words = Math.ceil(trie.source.vocabSize / 32);
    this.#path = new Int32Array(trie.depthMax + 1);
  }

  /** True when the masks that are kept take more room than they should. */
  get isFull(): boolean {
    return this.#keptBytes > KEPT_BYTES_MAX;
  }

  /** Sets in `bits` [⌈vocab / 32⌉] the tokens that fit behind a set, and clears the others. */
  fill(set: number, bits: Uint32Array): void {
    bits.fill(0);
    this.#workMax = this.#configurations.work + WORK_MAX;
    for (const stack of this.#configurations.membersOf(set)) {
      if (stack === BOTTOM || stack === HOLE) continue;
      const { mask, below } = this.#topOf(stack);
      addTo(bits, mask);
      if (mask.exits.length === 0 || below === BOTTOM) continue;
      const resumed = this.#configurations.resume(below);
      if (!this.#configurations.goesOn(resumed)) continue;
      for (const node of mask.exits) {
        this.#path[this.#trie.depths[node]] = resumed;
        this.#walk(node + 1, this.#trie.ends[node], bits, null);
      }
    }
    if (this.#configurations.isFree(set)) this.#addHidden(set, bits);
  }

  /** The mask of the least top of a stack after which little may follow, and what lies below it. */
  #topOf(stack: number): { mask: TopMask; below: number } {
    for (let rules = 1;; rules++) {
      const { top, below } = this.#cut(stack, rules);
      const mask = this.#maskOf(top);
      const isEnough = mask.exitNodes <= EXIT_NODES_MAX || rules === TOP_RULES_MAX;
      if (isEnough || below === BOTTOM) return { mask, below };
    }
  }

  /**
   * The topmost rules of a stack on HOLE, and what lies below them. Counts in it are moved as far
   * as no token can tell: so strings of all lengths that are far from their limits are one.
   */
  #cut(stack: number, rules: number): { top: number; below: number } {
    const { stacks } = this.#configurations;
    const { states, counts, below } = stacks;
    const parts = [stack];
    let at = below[stack];
    for (let rest = rules; at > HOLE; at = below[at]) {
      if (counts[at] === UNCOUNTED && --rest === 0) break;
      parts.push(at);
    }
    let top = HOLE;
    for (let i = parts.length - 1; i >= 0; i--) {
      const part = parts[i];
      const count = counts[part];
      const state = states[part];
      top = stacks.push(state, count === UNCOUNTED ? count : this.#near(state, count), top);
    }
    return { top, below: at };
  }

  /** A count of a repetition that no token can tell from `count`. */
  #near(state: number, count: number): number {
    const { min, max } = this.#configurations.network;
    const reach = this.#trie.depthMax + 1;
    if (count + reach < min[state]) return min[state] - reach;
    const isUnlimited = max[state] >= REPEAT_MAX;
    if (isUnlimited || count < min[state] || count + reach >= max[state]) return count;
    return Math.max(min[state], max[state] - reach);
  }

  #maskOf(top: number): TopMask {
    const known = this.#tops.get(top);
    if (known !== undefined) return known;
    const { ends, nodeCount } = this.#trie;
    const bits = new Uint32Array(this.#words);
    this.#exits.length = 0;
    this.#path[0] = this.#configurations.setOfStack(top);
    this.#walk(0, nodeCount, bits, this.#exits);
    const exits = Int32Array.from(this.#exits);
    const exitNodes = exits.reduce((sum, node) => sum + ends[node] - node - 1, 0);
    const ids = idsOf(bits, this.#words >> 1);
    const mask = { bits: ids === null ? bits : null, ids, exits, exitNodes };
    this.#keptBytes += 4 * (exits.length + (ids === null ? this.#words : ids.length)) + 200;
    this.#tops.set(top, mask);
    return mask;
  }

  /**
   * Sets the bits of tokens at nodes from `from` to `end`, siblings and their descendants, that fit
   * behind the set which `#path` has for their parent.
   * @param exits gets the nodes at which HOLE is reached; null: none is.
   */
  #walk(from: number, end: number, bits: Uint32Array, exits: number[] | null): void {
    const { bytes, depths, ends, tokenStarts, tokens } = this.#trie;
    const configurations = this.#configurations;
    const path = this.#path;
    for (let node = from; node < end;) {
      const depth = depths[node];
      const set = configurations.step(path[depth - 1], bytes[node]);
      if (set === DEAD_SET) {
        node = ends[node];
        continue;
      }
      path[depth] = set;
      const last = tokenStarts[node + 1];
      for (let i = tokenStarts[node]; i < last; i++) {
        bits[tokens[i] >>> 5] |= 1 << (tokens[i] & 31);
      }
      if (exits !== null && ends[node] > node + 1 && configurations.hasHole(set)) exits.push(node);
      if (configurations.work > this.#workMax) throw tooMuchWork();
      node++;
    }
  }

  /** Markers are allowed in free text, as far as their spelling is. */
  #addHidden(set: number, bits: Uint32Array): void {
    const { hiddenIds, source: { bytes, offsets } } = this.#trie;
    for (const id of hiddenIds) {
      let after = set;
      for (let at = offsets[id]; at < offsets[id + 1] && after !== DEAD_SET; at++) {
        after = this.#configurations.step(after, bytes[at]);
      }
      if (after !== DEAD_SET) bits[id >>> 5] |= 1 << (id & 31);
    }
  }
}

function addTo(bits: Uint32Array, { bits: more, ids }: TopMask): void {
  if (more !== null) { for (let i = 0; i < bits.length; i++) bits[i] |= more[i]; }
  if (ids !== null) {
    for (let i = 0; i < ids.length; i++) {
      bits[ids[i] >>> 5] |= 1 << (ids[i] & 31);
    }
  }
}

/** The ids of a mask, when they are at most `countMax`. */
function idsOf(bits: Uint32Array, countMax: number): Int32Array | null {
  const ids: number[] = [];
  for (let word = 0; word < bits.length; word++) {
    for (let rest = bits[word]; rest !== 0; rest &= rest - 1) {
      if (ids.length >= countMax) return null;
      ids.push(32 * word + 31 - Math.clz32(rest & -rest));
    }
  }
  return Int32Array.from(ids);
}

function tooMuchWork(): RequestError {
  return new RequestError(
    "Cannot go on by the grammar: what may follow is too much to look at: make it simpler",
    { status: 400, code: "invalid_grammar" },
  );
}
