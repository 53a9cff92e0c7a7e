/**
 * Expressions → states. Works from the end to the beginning: whoever builds a part knows the state
 * that follows it. Knows nothing of stacks or of tokens.
 */
import { type CodePoints, utf8Sequences } from "./code_points.ts";
import { type Expression, isWrittenOut, type RuleBook, tooLarge } from "./expression.ts";
import { leadTable, type LeadTarget } from "./lead_table.ts";
import { REPEAT_MAX } from "./limits.ts";
import { BYTES, CALL, END, FREE, type Network, REPEAT, SPLIT } from "./network.ts";
import { WordTree } from "./word_tree.ts";

type Edge = readonly [first: number, last: number, next: number];

/** A network that still grows. */
export class NetworkBuilder {
  readonly kinds: number[] = [];
  readonly a: number[] = [];
  readonly b: number[] = [];
  readonly min: number[] = [];
  readonly max: number[] = [];
  readonly edges: Edge[][] = [];
  /** By state, the rule that it is a part of. */
  readonly rules: number[] = [];
  readonly #book: RuleBook;
  /** By rule, its first state: one that only calls, until the rule is built. */
  readonly #entries: number[] = [];
  /** Rules that have an entry, in the order of being named. */
  readonly #named: number[] = [];
  #rule = 0;
  /** What patterns share is the same set each time. */
  readonly #sequences = new Map<CodePoints, number[][]>();

  constructor(book: RuleBook) {
    this.#book = book;
  }

  /** Builds every rule that `rule` reaches. @returns the first state. */
  build(rule: number): number {
    const start = this.#entryOf(rule);
    // Entries are made when a rule is first named, so this list grows while it is walked.
    for (let i = 0; i < this.#named.length; i++) {
      this.#rule = this.#named[i];
      const end = this.#state(END);
      const first = this.#build(this.#book.bodyOf(this.#rule), end);
      const entry = this.#entries[this.#rule];
      this.a[entry] = first;
      this.b[entry] = first;
    }
    return start;
  }

  #entryOf(rule: number): number {
    if (this.#entries[rule] === undefined) {
      this.#entries[rule] = this.#state(SPLIT);
      this.rules[this.#entries[rule]] = rule;
      this.#named.push(rule);
    }
    return this.#entries[rule];
  }

  #state(kind: number, a = 0, b = 0): number {
    const state = this.kinds.length;
    this.#requireRoom(1);
    this.kinds.push(kind);
    this.a.push(a);
    this.b.push(b);
    this.min.push(0);
    this.max.push(0);
    this.edges.push(NO_EDGES);
    this.rules.push(this.#rule);
    return state;
  }

  /** @throws {RequestError} 400 when so many states more are too many. */
  #requireRoom(states: number): void {
    const { states: most } = this.#book.limits;
    if (this.kinds.length + states > most) throw tooLarge(`${most} states`);
  }

  #bytes(edges: Edge[]): number {
    const state = this.#state(BYTES);
    this.edges[state] = edges;
    return state;
  }

  /** The first state of an expression that goes on at `next`. */
  #build(expression: Expression, next: number): number {
    switch (expression.kind) {
      case "words":
        return this.#buildWords(expression.words, next);
      case "class":
        return this.#buildClass(expression.set, next);
      case "sequence": {
        let state = next;
        for (const part of expression.parts.toReversed()) state = this.#build(part, state);
        return state;
      }
      case "choice":
        return this.#buildChoice(expression.parts, next);
      case "rule":
        return this.#state(CALL, this.#entryOf(expression.rule), next);
      case "repeat":
        return this.#buildRepeat(expression, next);
      case "until":
        return this.#buildUntil(expression, next);
      case "leads":
        return this.#buildLeads(expression, next);
    }
  }

  #buildChoice(parts: readonly Expression[], next: number): number {
    if (parts.length === 0) return this.#bytes(NO_EDGES);
    let state = -1;
    for (const part of parts.toReversed()) {
      const first = this.#build(part, next);
      state = state < 0 ? first : this.#state(SPLIT, first, state);
    }
    return state;
  }

  #buildRepeat(
    { body, min, max }: Extract<Expression, { kind: "repeat" }>,
    next: number,
  ): number {
    if (max === 0) return next;
    if (!isWrittenOut(body, min, max)) {
      const end = this.#state(END);
      const state = this.#state(REPEAT, this.#build(body, end), next);
      this.min[state] = min;
      this.max[state] = max;
      return state;
    }
    let state = next;
    if (max >= REPEAT_MAX) {
      state = this.#state(SPLIT, 0, next);
      this.a[state] = this.#build(body, state);
    } else {
      for (let i = min; i < max; i++) state = this.#state(SPLIT, this.#build(body, state), next);
    }
    for (let i = 0; i < min; i++) state = this.#build(body, state);
    return state;
  }

  /** Byte strings as a tree of their beginnings. */
  #buildWords(words: readonly Uint8Array[], next: number): number {
    // Each byte of the longest is a state: a tree for half a million takes a second.
    this.#requireRoom(words.reduce((most, { length }) => Math.max(most, length), 0));
    const tree = new WordTree(words);
    // Children come after their parents: the last ones are built first.
    const states = new Int32Array(tree.size);
    for (let at = tree.size - 1; at >= 0; at--) {
      const edges: Edge[] = [];
      for (let child = tree.first[at]; child > 0; child = tree.next[child]) {
        const byte = tree.bytes[child];
        edges.push([byte, byte, states[child]]);
      }
      const isEnd = tree.ends[at];
      if (isEnd && edges.length === 0) states[at] = next;
      else {
        const state = this.#bytes(edges);
        states[at] = isEnd ? this.#state(SPLIT, state, next) : state;
      }
    }
    return states[0];
  }

  #buildClass(set: CodePoints, next: number): number {
    let sequences = this.#sequences.get(set);
    if (sequences === undefined) this.#sequences.set(set, sequences = utf8Sequences(set));
    if (sequences.every((bytes) => bytes.length === 2)) {
      return this.#bytes(sequences.map(([first, last]): Edge => [first, last, next]));
    }
    const suffixes = new Map<string, number>();
    const stateOf = (bytes: readonly number[]): number => {
      if (bytes.length === 0) return next;
      const key = bytes.join();
      let state = suffixes.get(key);
      if (state === undefined) {
        state = this.#bytes([[bytes[0], bytes[1], stateOf(bytes.slice(2))]]);
        suffixes.set(key, state);
      }
      return state;
    };
    return this.#bytes(
      sequences.map((bytes): Edge => [bytes[0], bytes[1], stateOf(bytes.slice(2))]),
    );
  }

  /**
   * Free text: after each byte, how much of the trigger has been read (Knuth, Morris and Pratt
   * 1977). Unless the trigger is due it may end where that has not been read; then nothing follows.
   */
  #buildUntil(
    { trigger, isDue }: Extract<Expression, { kind: "until" }>,
    next: number,
  ): number {
    const reads = Array.from(trigger, () => this.#state(FREE));
    const end = isDue ? -1 : this.#state(END);
    const states = isDue ? reads : reads.map((read) => this.#state(SPLIT, read, end));
    const after = (matched: number) => matched === trigger.length ? next : states[matched];
    // By bytes read, what the same text without its first byte would have matched.
    let shorter = 0;
    for (let matched = 0; matched < trigger.length; matched++) {
      const targets = new Map<number, number>();
      if (matched > 0) {
        for (const [first, last, to] of this.edges[reads[shorter]]) {
          if (first === last) targets.set(first, to);
        }
      }
      targets.set(trigger[matched], after(matched + 1));
      this.edges[reads[matched]] = withOthers(targets, states[0]);
      if (matched > 0) {
        shorter = states.indexOf(targetOf(this.edges[reads[shorter]], trigger[matched]));
      }
    }
    return states[0];
  }

  /** Free text that may end anywhere; behind a whole lead what belongs to it follows. */
  #buildLeads(
    { leads, isAtStart, behind: last }: Extract<Expression, { kind: "leads" }>,
    next: number,
  ): number {
    const end = this.#state(END);
    const rest = this.#build(last, next);
    const behind = leads.map(({ then }) => this.#build(then, rest));
    const reads: number[] = [];
    const states: number[] = [];
    const table = leadTable(leads.map(({ bytes }) => bytes), isAtStart, () => {
      reads.push(this.#state(FREE));
      states.push(this.#state(SPLIT, reads.at(-1), end));
    });
    const stateOf = (target: LeadTarget) =>
      "lead" in target ? behind[target.lead] : states[target.node];
    for (const [node, { targets, other }] of table.entries()) {
      const own = new Map([...targets].map(([byte, target]) => [byte, stateOf(target)]));
      this.edges[reads[node]] = withOthers(own, states[other]);
    }
    return states[0];
  }

  /** What has been built, as plain data. */
  finish(start: number): Network {
    const edgeStarts = new Int32Array(this.edges.length + 1);
    this.edges.forEach((edges, state) => edgeStarts[state + 1] = edgeStarts[state] + edges.length);
    const { byteClasses, classCount } = classesOf(this.edges);
    return {
      kinds: Uint8Array.from(this.kinds),
      a: Int32Array.from(this.a),
      b: Int32Array.from(this.b),
      min: Int32Array.from(this.min),
      max: Int32Array.from(this.max),
      edgeStarts,
      edges: flatEdges(this.edges, edgeStarts),
      start,
      byteClasses,
      classCount,
    };
  }
}

const NO_EDGES: Edge[] = [];

/** Edges to the targets, and to `other` for all remaining bytes. */
function withOthers(targets: ReadonlyMap<number, number>, other: number): Edge[] {
  const edges: Edge[] = [];
  let next = 0;
  for (const [byte, target] of [...targets].sort(([a], [b]) => a - b)) {
    if (byte > next) edges.push([next, byte - 1, other]);
    edges.push([byte, byte, target]);
    next = byte + 1;
  }
  if (next <= 255) edges.push([next, 255, other]);
  return edges;
}

function targetOf(edges: readonly Edge[], byte: number): number {
  return edges.find(([first, last]) => byte >= first && byte <= last)![2];
}

function flatEdges(edges: readonly Edge[][], starts: Int32Array): Int32Array {
  const flat = new Int32Array(3 * starts[edges.length]);
  let at = 0;
  for (const each of edges) {
    for (const edge of each) {
      for (let i = 0; i < 3; i++) flat[at++] = edge[i];
    }
  }
  return flat;
}

/** Bytes between the same borders of edges are of one class. */
function classesOf(edges: readonly Edge[][]) {
  const isBorder = new Uint8Array(257);
  for (const each of edges) {
    for (const [first, last] of each) isBorder[first] = isBorder[last + 1] = 1;
  }
  const byteClasses = new Uint8Array(256);
  let current = 0;
  for (let byte = 0; byte < 256; byte++) {
    if (byte > 0 && isBorder[byte] === 1) current++;
    byteClasses[byte] = current;
  }
  return { byteClasses, classCount: current + 1 };
}
