/**
 * What has to be true of a network before a text is read by it: every state leads to an end, no
 * rule begins with itself, and what is counted is never empty. All of it without recursion.
 */
import { grammarError } from "./limits.ts";
import { BYTES, CALL, DEAD, END, FREE, REPEAT, SPLIT } from "./network.ts";
import type { NetworkBuilder } from "./network_builder.ts";

/**
 * Takes out what leads nowhere.
 * @throws {RequestError} 400 where nothing is left, or a text could be read without end.
 */
export function checkNetwork(
  network: NetworkBuilder,
  start: number,
  nameOf: (rule: number) => string,
): void {
  const usersOf = collectUsers(network);
  const isProductive = fixpoint(network, usersOf, (state, known) => {
    const { kinds, a, b, min } = network;
    if (kinds[state] === END) return true;
    if (kinds[state] === SPLIT) return known(a[state]) || known(b[state]);
    if (kinds[state] === CALL) return known(a[state]) && known(b[state]);
    if (kinds[state] === REPEAT) return (min[state] === 0 || known(a[state])) && known(b[state]);
    for (const edge of network.edges[state]) if (known(edge[2])) return true;
    return false;
  });
  if (isProductive[start] === 0) {
    throw grammarError(
      "Cannot use the grammar: no text fits it, because it contradicts itself or never ends: " +
        "correct it",
    );
  }
  prune(network, isProductive);
  const isNullable = fixpoint(network, usersOf, (state, known) => {
    const { kinds, a, b, min } = network;
    if (kinds[state] === END) return true;
    if (kinds[state] === SPLIT) return known(a[state]) || known(b[state]);
    if (kinds[state] === CALL) return known(a[state]) && known(b[state]);
    if (kinds[state] === REPEAT) return (min[state] === 0 || known(a[state])) && known(b[state]);
    return false;
  });
  checkCounted(network, isNullable, nameOf);
  checkLeftRecursion(network, isNullable, nameOf);
}

/** Lists of states by state: [states + 1] beginnings, and the states. */
interface Users {
  readonly starts: Int32Array;
  readonly states: Int32Array;
}

/** By state, the states that name it. */
function collectUsers(network: NetworkBuilder): Users {
  const count = network.kinds.length;
  const starts = new Int32Array(count + 1);
  const forEachUse = (use: (target: number, user: number) => void) => {
    for (let state = 0; state < count; state++) {
      const kind = network.kinds[state];
      if (kind === BYTES || kind === FREE) {
        for (const edge of network.edges[state]) use(edge[2], state);
      } else if (kind !== END) {
        use(network.a[state], state);
        use(network.b[state], state);
      }
    }
  };
  forEachUse((target) => starts[target + 1]++);
  for (let i = 0; i < count; i++) starts[i + 1] += starts[i];
  const states = new Int32Array(starts[count]);
  const filled = starts.slice();
  forEachUse((target, user) => states[filled[target]++] = user);
  return { starts, states };
}

/** The least set of states that is closed under a rule: 1 for those in it. */
function fixpoint(
  network: NetworkBuilder,
  { starts, states }: Users,
  holds: (state: number, known: (other: number) => boolean) => boolean,
): Uint8Array {
  const isIn = new Uint8Array(network.kinds.length);
  const known = (state: number) => isIn[state] === 1;
  const waiting: number[] = [];
  const tryOne = (state: number) => {
    if (isIn[state] === 1 || !holds(state, known)) return;
    isIn[state] = 1;
    waiting.push(state);
  };
  for (let state = 0; state < isIn.length; state++) tryOne(state);
  for (let state = waiting.pop(); state !== undefined; state = waiting.pop()) {
    for (let i = starts[state]; i < starts[state + 1]; i++) tryOne(states[i]);
  }
  return isIn;
}

/** Takes out edges, branches and repetitions that lead nowhere. */
function prune(network: NetworkBuilder, isProductive: Uint8Array): void {
  const { kinds, a, b, edges } = network;
  for (let state = 0; state < kinds.length; state++) {
    const kind = kinds[state];
    if (isProductive[state] === 0) {
      kinds[state] = DEAD;
      edges[state] = [];
    } else if (kind === BYTES || kind === FREE) {
      const goesOn = (edge: NetworkBuilder["edges"][number][number]) => isProductive[edge[2]] === 1;
      if (!edges[state].every(goesOn)) edges[state] = edges[state].filter(goesOn);
    } else if (kind === SPLIT) {
      if (isProductive[a[state]] === 0) a[state] = b[state];
      if (isProductive[b[state]] === 0) b[state] = a[state];
    } else if (kind === REPEAT && isProductive[a[state]] === 0) {
      kinds[state] = SPLIT;
      a[state] = b[state];
    }
  }
}

function checkCounted(
  { kinds, a, rules }: NetworkBuilder,
  isNullable: Uint8Array,
  nameOf: (rule: number) => string,
): void {
  const state = kinds.findIndex((kind, state) => kind === REPEAT && isNullable[a[state]] === 1);
  if (state < 0) return;
  throw grammarError(
    `Cannot use the grammar: in "${nameOf(rules[state])}" something that may be empty is ` +
      "repeated a counted number of times: leave the emptiness out of what is repeated",
  );
}

/** A rule that can begin with itself would be entered for ever. */
function checkLeftRecursion(
  network: NetworkBuilder,
  isNullable: Uint8Array,
  nameOf: (rule: number) => string,
): void {
  const { kinds, a, b, min, rules } = network;
  /** Where a state goes without reading a byte: its first and its second way; -1: none. */
  const wayOf = (state: number, way: number): number => {
    const kind = kinds[state];
    if (kind === BYTES || kind === FREE || kind === END || kind === DEAD) return -1;
    if (way === 0) return a[state];
    if (kind === CALL) return isNullable[a[state]] === 1 ? b[state] : -1;
    if (kind === REPEAT) return min[state] === 0 ? b[state] : -1;
    return b[state];
  };
  const component = componentsOf(kinds.length, wayOf);
  const state = kinds.findIndex((kind, state) =>
    (kind === CALL || kind === REPEAT) && component[state] === component[a[state]]
  );
  if (state < 0) return;
  const name = nameOf(rules[a[state]]);
  throw grammarError(
    `Cannot use the grammar: "${name}" can begin with itself, which would never end: ` +
      "put something before it, or repeat with * instead",
  );
}

/** Strongly connected components of a graph of two ways a state (Tarjan 1972), by state. */
function componentsOf(
  count: number,
  wayOf: (state: number, way: number) => number,
): Int32Array {
  const component = new Int32Array(count).fill(-1);
  const order = new Int32Array(count).fill(-1);
  const low = new Int32Array(count);
  const nextWay = new Uint8Array(count);
  const open: number[] = [];
  const path: number[] = [];
  let visited = 0;
  const enter = (state: number) => {
    order[state] = low[state] = visited++;
    open.push(state);
    path.push(state);
  };
  for (let root = 0; root < count; root++) {
    if (order[root] < 0) enter(root);
    while (path.length > 0) {
      const state = path[path.length - 1];
      if (nextWay[state] < 2) {
        const to = wayOf(state, nextWay[state]++);
        if (to < 0) continue;
        if (order[to] < 0) enter(to);
        else if (component[to] < 0) low[state] = Math.min(low[state], order[to]);
        continue;
      }
      path.pop();
      if (path.length > 0) {
        const parent = path[path.length - 1];
        low[parent] = Math.min(low[parent], low[state]);
      }
      if (low[state] !== order[state]) continue;
      for (let member = -1; member !== state;) component[member = open.pop()!] = state;
    }
  }
  return component;
}
