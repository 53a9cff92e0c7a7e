/**
 * Which tokens fit behind what has been read. The answer is put together from parts that depend on
 * the top of a stack only, which are found out once by a walk through the vocabulary and kept, and
 * from short walks through what may follow where such a top has ended. Knows nothing of sampling.
 */
import { RequestError } from "../base/errors.ts";
import type { Completions } from "./completions.ts";
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
  /** Bytes that are missing at least, up to HOLE, behind the token after which most are. */
  readonly missingMax: number;
}

/** Where more than this follows the end of a top, more of the stack is taken into it. */
const EXIT_NODES_MAX = 4096;
/** Of more stacks than these one walk with all of them takes less time than one with each top. */
const TOPS_MAX = 8;
/** Rules that a top may consist of. */
const TOP_RULES_MAX = 6;
/** Steps of searching for one mask, and again for what is near its end: 50 ms or so. */
const WORK_MAX = 1 << 19;
/** Steps of looking for completions for one mask. */
const COMPLETION_STEPS_MAX = 1 << 22;
/** Bytes of masks that are kept. */
const KEPT_BYTES_MAX = 32 << 20;

/** The masks of one table of configurations over one vocabulary. */
export class TokenMasks {
  readonly #configurations: Configurations;
  readonly #completions: Completions;
  readonly #trie: TokenTrie;
  readonly #words: number;
  /** By the number of the top as a stack on HOLE. */
  readonly #tops = new Map<number, TopMask>();
  #keptBytes = 0;
  /** [depthMax + 1]: sets on the way to a node. */
  readonly #path: Int32Array;
  readonly #exits: number[] = [];
  #workMax = 0;
  #missingMax = 0;

  constructor(configurations: Configurations, completions: Completions, trie: TokenTrie) {
    this.#configurations = configurations;
    this.#completions = completions;
    this.#trie = trie;
    this.#words = Math.ceil(trie.source.vocabSize / 32);
    this.#path = new Int32Array(trie.depthMax + 1);
  }

  /** True when the masks that are kept take more room than they should. */
  get isFull(): boolean {
    return this.#keptBytes > KEPT_BYTES_MAX;
  }

  /**
   * Sets in `bits` [⌈vocab / 32⌉] the tokens that fit behind a set, and clears the others.
   * @returns how many bytes are missing at most for an end behind any of them.
   */
  fill(set: number, bits: Uint32Array): number {
    bits.fill(0);
    let missingMax = 0;
    this.#workMax = this.#configurations.work + WORK_MAX;
    const members = this.#configurations.membersOf(set);
    if (members.length > TOPS_MAX) missingMax = this.#walkFrom(set, bits);
    else {for (const stack of members) {
        if (stack === BOTTOM || stack === HOLE) continue;
        const { mask, below, movedBytes } = this.#topOf(stack);
        addTo(bits, mask);
        const missingBelow = movedBytes + this.#completions.bytesBelow(below);
        missingMax = Math.max(missingMax, mask.missingMax + missingBelow);
        if (mask.exits.length === 0 || below === BOTTOM) continue;
        const resumed = this.#configurations.resume(below);
        if (!this.#configurations.goesOn(resumed)) continue;
        this.#missingMax = 0;
        for (const node of mask.exits) {
          this.#path[this.#trie.depths[node]] = resumed;
          this.#walk(node + 1, this.#trie.ends[node], bits, null);
        }
        missingMax = Math.max(missingMax, this.#missingMax);
      }}
    return missingMax;
  }

  /**
   * Takes those tokens out of `bits` behind which so many more are too few to end.
   * @param nearest ids that end the text, the first of which stays where the others are not too
   *   many: so where there are enough tokens for an end now, there are for one of those that stay.
   */
  narrow(
    set: number,
    bits: Uint32Array,
    { tokensBehind, nearest }: { tokensBehind: number; nearest: Int32Array | null },
  ): void {
    const { bytes, depths, ends, nodeCount, tokenStarts, tokens } = this.#trie;
    const configurations = this.#configurations;
    const path = this.#path;
    const fits = this.#bounded(tokensBehind);
    this.#workMax = configurations.work + WORK_MAX;
    const drop = (id: number) => bits[id >>> 5] &= ~(1 << (id & 31));
    path[0] = set;
    for (let node = 0; node < nodeCount;) {
      const depth = depths[node];
      const behind = configurations.step(path[depth - 1], bytes[node]);
      if (behind === DEAD_SET) {
        node = ends[node];
        continue;
      }
      path[depth] = behind;
      const last = tokenStarts[node + 1];
      if (tokenStarts[node] < last && !fits(behind)) {
        for (let i = tokenStarts[node]; i < last; i++) drop(tokens[i]);
      }
      if (configurations.work > this.#workMax) throw tooMuchWork();
      node++;
    }
    if (nearest === null || nearest.length === 0 || nearest.length - 1 > tokensBehind) return;
    const [first] = nearest;
    bits[first >>> 5] |= 1 << (first & 31);
  }

  /** Whether so many tokens are enough behind a set; "no" when too much was looked at for it. */
  #bounded(tokens: number): (set: number) => boolean {
    const completions = this.#completions;
    const known = new Map<number, boolean>();
    let stepsLeft = COMPLETION_STEPS_MAX;
    return (set) => {
      let fits = known.get(set);
      if (fits === undefined) {
        const mustCut = completions.mustCut(set, tokens);
        fits = (!mustCut || stepsLeft > 0) && completions.fits(set, tokens);
        if (mustCut && stepsLeft > 0) stepsLeft -= completions.stepsOf(set);
        known.set(set, fits);
      }
      return fits;
    };
  }

  /** Sets the bits of the tokens behind a set by one walk; @returns how many bytes are missing. */
  #walkFrom(set: number, bits: Uint32Array): number {
    this.#missingMax = 0;
    this.#path[0] = set;
    this.#walk(0, this.#trie.nodeCount, bits, null);
    return this.#missingMax;
  }

  /** The mask of the least top of a stack after which little may follow, and what lies below it. */
  #topOf(stack: number): { mask: TopMask; below: number; movedBytes: number } {
    for (let rules = 1;; rules++) {
      const { top, below, movedBytes } = this.#cut(stack, rules);
      const mask = this.#maskOf(top);
      const isEnough = mask.exitNodes <= EXIT_NODES_MAX || rules === TOP_RULES_MAX;
      if (isEnough || below === BOTTOM) return { mask, below, movedBytes };
    }
  }

  /**
   * The topmost rules of a stack on HOLE, and what lies below them. Counts in it are moved as far
   * as no token can tell: so strings of all lengths that are far from their limits are one.
   * `movedBytes` more are missing behind the stack than behind its top on what lies below.
   */
  #cut(stack: number, rules: number): { top: number; below: number; movedBytes: number } {
    const { stacks } = this.#configurations;
    const { states, counts, below } = stacks;
    const parts = [stack];
    let at = below[stack];
    for (let rest = rules; at > HOLE; at = below[at]) {
      if (counts[at] === UNCOUNTED && --rest === 0) break;
      parts.push(at);
    }
    let top = HOLE;
    let movedBytes = 0;
    for (let i = parts.length - 1; i >= 0; i--) {
      const part = parts[i];
      const count = counts[part];
      const state = states[part];
      const near = count === UNCOUNTED ? count : this.#near(state, count);
      if (near !== count) movedBytes += this.#completions.bytesBetween(state, count, near);
      top = stacks.push(state, near, top);
    }
    return { top, below: at, movedBytes };
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
    this.#missingMax = 0;
    this.#path[0] = this.#configurations.setOfStack(top);
    this.#walk(0, nodeCount, bits, this.#exits);
    const exits = Int32Array.from(this.#exits);
    const exitNodes = exits.reduce((sum, node) => sum + ends[node] - node - 1, 0);
    const ids = idsOf(bits, this.#words >> 1);
    const missingMax = this.#missingMax;
    const mask = { bits: ids === null ? bits : null, ids, exits, exitNodes, missingMax };
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
      if (tokenStarts[node] < last) {
        this.#missingMax = Math.max(this.#missingMax, this.#completions.bytesOf(set));
      }
      for (let i = tokenStarts[node]; i < last; i++) {
        bits[tokens[i] >>> 5] |= 1 << (tokens[i] & 31);
      }
      if (exits !== null && ends[node] > node + 1 && configurations.hasHole(set)) exits.push(node);
      if (configurations.work > this.#workMax) throw tooMuchWork();
      node++;
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
