/**
 * Reads bytes by a network: sets of stacks and the ways between them, found out when they are first
 * taken and remembered from then on. Knows nothing of tokens.
 *
 * A set has a number; set 0 is the empty one, in which nothing fits any more. All is kept until a
 * table is full; whoever reads then goes on in a new one (`moveTo`).
 */
import { RequestError } from "../base/errors.ts";
import { REPEAT_MAX } from "./limits.ts";
import { BYTES, CALL, END, FREE, type Network, REPEAT, SPLIT } from "./network.ts";
import { BOTTOM, grown, HOLE, StackTable, UNCOUNTED } from "./stack_table.ts";

/** The set in which nothing fits. */
export const DEAD_SET = 0;

/** The text may end here. */
const MAY_END = 1;
/** What is not known follows. */
const HAS_HOLE = 2;
/** Free text: tokens that are no text may come, too. */
const IS_FREE = 4;
/** Some byte may follow. */
const GOES_ON = 8;

/** Stacks that a set may have: more of them are read too slowly. */
const SET_STACKS_MAX = 2048;
/** Steps of one search for the stacks behind a byte. */
const SEARCH_STEPS_MAX = 1 << 14;
/** When a table is full. */
const STACKS_MAX = 1 << 19;
const SETS_MAX = 1 << 14;

const UNKNOWN = -1;

/** Sets of stacks of one network. */
export class Configurations {
  readonly network: Network;
  /** The set in which a text begins. */
  readonly start: number;
  /** [sets × classes]: the set behind a byte of a class, or UNKNOWN. */
  #next: Int32Array;
  readonly #stacks = new StackTable();
  /** By set: its stacks, ascending. */
  readonly #members: Int32Array[] = [];
  readonly #flags: number[] = [];
  /** Sets of one stack, and of more, by what they are of. */
  readonly #single = new Map<number, number>();
  readonly #several = new Map<string, number>();
  /** By stack that lies below: the set that goes on with it. */
  readonly #resumed = new Map<number, number>();
  /** Marks of the stacks that the current search has seen. */
  #seen = new Int32Array(1024);
  #search = 0;
  #work = 0;
  /** Of the current search: what is to be looked at, as pairs of state and stack below. */
  readonly #waiting: number[] = [];
  readonly #found: number[] = [];

  constructor(network: Network) {
    this.network = network;
    this.#next = new Int32Array(16 * network.classCount);
    this.#intern([]);
    this.#beginSearch();
    this.#waiting.push(network.start, BOTTOM);
    this.start = this.#endSearch();
  }

  /** The set behind a byte; DEAD_SET when it does not fit. */
  step(set: number, byte: number): number {
    const at = set * this.network.classCount + this.network.byteClasses[byte];
    const known = this.#next[at];
    return known !== UNKNOWN ? known : this.#explore(set, byte, at);
  }

  mayEnd(set: number): boolean {
    return (this.#flags[set] & MAY_END) !== 0;
  }

  hasHole(set: number): boolean {
    return (this.#flags[set] & HAS_HOLE) !== 0;
  }

  isFree(set: number): boolean {
    return (this.#flags[set] & IS_FREE) !== 0;
  }

  /** Whether any byte fits. */
  goesOn(set: number): boolean {
    return (this.#flags[set] & GOES_ON) !== 0;
  }

  /** Steps of all searches so far: what finding out has cost. */
  get work(): number {
    return this.#work;
  }

  /** True when a table of this size should not grow any more. */
  get isFull(): boolean {
    return this.#stacks.size > STACKS_MAX || this.#members.length > SETS_MAX;
  }

  /** The stacks of a set, `BOTTOM` and `HOLE` among them. */
  membersOf(set: number): Int32Array {
    return this.#members[set];
  }

  get stacks(): StackTable {
    return this.#stacks;
  }

  /** The set of one stack whose top reads a byte. */
  setOfStack(stack: number): number {
    return this.#intern([stack]);
  }

  /** The set with which a stack is gone on with when what lay on it has ended. */
  resume(stack: number): number {
    let set = this.#resumed.get(stack);
    if (set === undefined) {
      this.#beginSearch();
      this.#pop(stack);
      this.#resumed.set(stack, set = this.#endSearch());
    }
    return set;
  }

  /** The same set in another table of the same network. */
  moveTo(other: Configurations, set: number): number {
    const members = Array.from(this.#members[set], (stack) => this.#copyTo(other, stack));
    return other.#intern(members.sort((a, b) => a - b));
  }

  #copyTo(other: Configurations, stack: number): number {
    const { states, counts, below } = this.#stacks;
    const path: number[] = [];
    let at = stack;
    for (; at > HOLE; at = below[at]) path.push(at);
    for (const each of path.reverse()) at = other.#stacks.push(states[each], counts[each], at);
    return at;
  }

  #explore(set: number, byte: number, at: number): number {
    const { edgeStarts, edges } = this.network;
    this.#beginSearch();
    for (const stack of this.#members[set]) {
      if (stack <= HOLE) continue;
      const state = this.#stacks.states[stack];
      for (let edge = 3 * edgeStarts[state]; edge < 3 * edgeStarts[state + 1]; edge += 3) {
        if (byte < edges[edge] || byte > edges[edge + 1]) continue;
        this.#waiting.push(edges[edge + 2], this.#stacks.below[stack]);
      }
    }
    const found = this.#endSearch();
    this.#next[at] = found;
    return found;
  }

  #beginSearch(): void {
    this.#search++;
    this.#found.length = 0;
    this.#waiting.length = 0;
  }

  /** Follows what waits until only stacks are left that read a byte; @returns their set. */
  #endSearch(): number {
    const waiting = this.#waiting;
    for (let steps = 0; waiting.length > 0; steps++, this.#work++) {
      if (steps > SEARCH_STEPS_MAX || this.#found.length > SET_STACKS_MAX) throw tooAmbiguous();
      const below = waiting.pop()!;
      this.#visit(waiting.pop()!, below);
    }
    return this.#intern(this.#found.sort((a, b) => a - b));
  }

  /** Looks at `state` on `below`. */
  #visit(state: number, below: number): void {
    const { kinds, a, b } = this.network;
    const kind = kinds[state];
    if (kind === END) return this.#pop(below);
    const stack = this.#stacks.push(state, UNCOUNTED, below);
    if (this.#isSeen(stack)) return;
    if (kind === BYTES || kind === FREE) this.#found.push(stack);
    else if (kind === SPLIT) this.#waiting.push(b[state], below, a[state], below);
    else if (kind === CALL) {
      // A call at the end of a rule needs no way back: such recursion takes no room.
      const isLast = kinds[b[state]] === END;
      const under = isLast ? below : this.#stacks.push(b[state], UNCOUNTED, below);
      this.#waiting.push(a[state], under);
    } else if (kind === REPEAT) this.#iterate(state, 0, below);
  }

  /** What lay on `stack` has ended. */
  #pop(stack: number): void {
    if (stack <= HOLE) {
      if (!this.#isSeen(stack)) this.#found.push(stack);
      return;
    }
    const { states, counts, below } = this.#stacks;
    if (counts[stack] === UNCOUNTED) this.#waiting.push(states[stack], below[stack]);
    else this.#iterate(states[stack], counts[stack] + 1, below[stack]);
  }

  /** A repetition has been gone through `count` times. */
  #iterate(state: number, count: number, below: number): void {
    const { a, b, min, max } = this.network;
    if (count >= min[state]) this.#waiting.push(b[state], below);
    if (count >= max[state]) return;
    // Without a limit, times beyond the least number are all the same.
    const counted = max[state] >= REPEAT_MAX ? Math.min(count, min[state]) : count;
    this.#waiting.push(a[state], this.#stacks.push(state, counted, below));
  }

  #isSeen(stack: number): boolean {
    while (stack >= this.#seen.length) this.#seen = grown(this.#seen);
    if (this.#seen[stack] === this.#search) return true;
    this.#seen[stack] = this.#search;
    return false;
  }

  /** The number of a set of stacks, ascending. */
  #intern(stacks: readonly number[]): number {
    if (stacks.length === 1) {
      let set = this.#single.get(stacks[0]);
      if (set === undefined) this.#single.set(stacks[0], set = this.#add(stacks));
      return set;
    }
    const key = stacks.join();
    let set = this.#several.get(key);
    if (set === undefined) this.#several.set(key, set = this.#add(stacks));
    return set;
  }

  #add(stacks: readonly number[]): number {
    const { kinds } = this.network;
    let flags = 0;
    for (const stack of stacks) {
      if (stack === BOTTOM) flags |= MAY_END;
      else if (stack === HOLE) flags |= HAS_HOLE;
      else flags |= GOES_ON | (kinds[this.#stacks.states[stack]] === FREE ? IS_FREE : 0);
    }
    this.#flags.push(flags);
    const set = this.#members.push(Int32Array.from(stacks)) - 1;
    const { classCount } = this.network;
    if ((set + 1) * classCount > this.#next.length) this.#next = grown(this.#next);
    // No edge leaves the empty set: its steps are known.
    this.#next.fill(
      set === DEAD_SET ? DEAD_SET : UNKNOWN,
      set * classCount,
      (set + 1) * classCount,
    );
    return set;
  }
}

function tooAmbiguous(): RequestError {
  return new RequestError(
    "Cannot go on by the grammar: a text can be read in too many ways: make it less ambiguous",
    { status: 400, code: "invalid_grammar" },
  );
}
