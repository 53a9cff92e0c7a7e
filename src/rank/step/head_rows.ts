/**
 * Rows of heads in a step: turned by where their tokens stand, and kept in the cache. Attention and
 * indexers do both alike. Knows no layers.
 */
import {
  SEGMENT_POSITION,
  SEGMENT_ROWS,
  SEGMENT_SLOT,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import { tableBlocks } from "../plan/kv_bytes.ts";
import type { StepState } from "./step_state.ts";

/** Address of the table of a sequence's blocks. */
export function tableOf({ space, plan }: StepState, slot: number): number {
  return space.tables + slot * tableBlocks(plan.contextLength) * 4;
}

/** Turns x, f32 [n, heads · headDim], by one of the model's ropes. */
export function rotateHeads(
  { kernels, space, config: { ropes }, n }: StepState,
  rope: number,
  x: number,
  heads: number,
  headDim: number,
): void {
  if (heads === 0) return;
  const { kind, dimensionCount, start = 0 } = ropes[rope];
  const neox = kind === "neox" ? 1 : 0, from = x + 4 * start, stride = heads * headDim;
  kernels.rope_f32(from, stride, n, heads, headDim, dimensionCount, space.ropes[rope], neox);
}

/** Keeps one head's keys, f32 [n, headDim], in a cache of such heads. */
export function storeKeys(state: StepState, key: number, headDim: number, cache: number): void {
  const { kernels, plan: { kvType, kvBlocks }, segments, segmentCount } = state;
  const store = kvType === "i16" ? kernels.store_keys_i16 : kernels.store_keys_f32;
  for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
    const n = segments[at + SEGMENT_ROWS], position = segments[at + SEGMENT_POSITION];
    const table = tableOf(state, segments[at + SEGMENT_SLOT]);
    store(key, headDim, cache, table, kvBlocks, position, n, 1, headDim);
    key += n * headDim * 4;
  }
}
