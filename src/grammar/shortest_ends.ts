/**
 * How many bytes a network asks for at least, state by state: the way to the nearest end. Knows
 * nothing of stacks or tokens.
 */
import { BYTES, CALL, DEAD, END, FREE, type Network, REPEAT, SPLIT } from "./network.ts";

/** The nearest ends of all states. */
export interface ShortestEnds {
  /** [states]: bytes from a state to the end of its rule; Infinity: there is no such way. */
  readonly bytes: Float64Array;
  /** [states]: of a state that reads a byte or splits, the state that this way leads to. */
  readonly ways: Int32Array;
}

/**
 * Finds them from the nearest to the farthest, as Dijkstra's method does for graphs and Knuth's
 * generalisation ("A generalization of Dijkstra's algorithm", 1977) for grammars. Ways are taken
 * from states that were found before, so that following them comes to an end.
 */
export function shortestEnds(network: Network): ShortestEnds {
  const { kinds, a, b, min } = network;
  const count = kinds.length;
  const bytes = new Float64Array(count).fill(Infinity);
  const ways = new Int32Array(count).fill(-1);
  const isFound = new Uint8Array(count);
  const users = collectUsers(network);
  const waiting = new StateHeap(bytes);
  const offer = (state: number, value: number, way: number) => {
    if (!(value < bytes[state])) return;
    bytes[state] = value;
    ways[state] = way;
    waiting.push(state);
  };
  for (let state = 0; state < count; state++) if (kinds[state] === END) offer(state, 0, -1);
  for (let state = waiting.pop(); state >= 0; state = waiting.pop()) {
    if (isFound[state] === 1) continue;
    isFound[state] = 1;
    for (let i = users.starts[state]; i < users.starts[state + 1]; i++) {
      const user = users.states[i];
      const kind = kinds[user];
      if (kind === BYTES || kind === FREE) offer(user, 1 + bytes[state], state);
      else if (kind === SPLIT) offer(user, bytes[state], state);
      else {
        const times = kind === CALL ? 1 : min[user];
        const isKnown = isFound[b[user]] === 1 && (times === 0 || isFound[a[user]] === 1);
        if (!isKnown) continue;
        offer(user, (times === 0 ? 0 : times * bytes[a[user]]) + bytes[b[user]], -1);
      }
    }
  }
  return { bytes, ways };
}

/** By state, [states + 1] beginnings, the states that name it. */
function collectUsers({ kinds, a, b, edgeStarts, edges }: Network) {
  const starts = new Int32Array(kinds.length + 1);
  const forEachUse = (use: (target: number, user: number) => void) => {
    for (let state = 0; state < kinds.length; state++) {
      const kind = kinds[state];
      if (kind === SPLIT || kind === CALL || kind === REPEAT) {
        use(a[state], state);
        use(b[state], state);
      } else if (kind !== END && kind !== DEAD) {
        for (let edge = edgeStarts[state]; edge < edgeStarts[state + 1]; edge++) {
          use(edges[3 * edge + 2], state);
        }
      }
    }
  };
  forEachUse((target) => starts[target + 1]++);
  for (let i = 0; i < kinds.length; i++) starts[i + 1] += starts[i];
  const states = new Int32Array(starts[kinds.length]);
  const filled = starts.slice();
  forEachUse((target, user) => states[filled[target]++] = user);
  return { starts, states };
}

/** States, the one with the least value first; one whose value has become less is in it twice. */
class StateHeap {
  readonly #values: Float64Array;
  readonly #states: number[] = [];
  /** What the states' values were when they came. */
  readonly #keys: number[] = [];

  constructor(values: Float64Array) {
    this.#values = values;
  }

  push(state: number): void {
    const key = this.#values[state];
    const states = this.#states;
    const keys = this.#keys;
    let at = states.length;
    states.push(state);
    keys.push(key);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (keys[parent] <= key) break;
      states[at] = states[parent];
      keys[at] = keys[parent];
      at = parent;
    }
    states[at] = state;
    keys[at] = key;
  }

  /** -1: there is none. */
  pop(): number {
    const states = this.#states;
    const keys = this.#keys;
    if (states.length === 0) return -1;
    const [least] = states;
    const state = states.pop()!;
    const key = keys.pop()!;
    const size = states.length;
    if (size === 0) return least;
    let at = 0;
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && keys[child + 1] < keys[child]) child++;
      if (keys[child] >= key) break;
      states[at] = states[child];
      keys[at] = keys[child];
      at = child;
    }
    states[at] = state;
    keys[at] = key;
    return least;
  }
}
