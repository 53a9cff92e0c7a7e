/** What a layer of the reference keeps of all positions. */
import { check } from "../base/check.ts";

/**
 * Keys and values of all positions so far, [positions, heads, dimensions]; of a layer that
 * convolves, its rows [positions, d] as values.
 */
export interface LayerCache {
  keys: Float64Array;
  values: Float64Array;
  /** What a state space is made of, [positions, …]. */
  rows: Float64Array;
  /** What an indexer scores, [positions, its dimensions]. */
  indexed: Float64Array;
  /** What neurons read, where they read rows before, too, [positions, d]. */
  fed: Float64Array;
}

/** The first `kept` values of `old`, then `more`. */
export function append(old: Float64Array, kept: number, more: Float64Array): Float64Array {
  check(kept <= old.length, `the cache holds ${old.length} values, not ${kept}`);
  const joined = new Float64Array(kept + more.length);
  joined.set(old.subarray(0, kept));
  joined.set(more, kept);
  return joined;
}
