/** Calls of attention that the sweep makes. Data only. */
import type { CacheType } from "./attention_extremes.ts";

/** One of them. */
export interface AttentionCase {
  readonly type: CacheType;
  readonly n: number;
  readonly p0: number;
  readonly heads: number;
  readonly headOffset: number;
  readonly groupSize: number;
  readonly headDim: number;
  /** Left out: headDim. */
  readonly valueDim?: number;
  readonly window: number;
  readonly softCap: number;
  /** What heads' sinks are around; left out: they have none. */
  readonly sink?: number;
  /** Left out: there are no chunks. */
  readonly chunk?: number;
  /** The steepest slope of scores; left out: they have none. */
  readonly slope?: number;
  /** How large biases of scores are; left out: they have none. */
  readonly bias?: number;
  /** How many positions behind its own a token sees; left out: none. */
  readonly ahead?: number;
  /** Positions of the sequence behind the tokens; left out: none. */
  readonly behind?: number;
  /** Factor of the queries: large ones make the softmax sharp. */
  readonly size: number;
}

/** All of one type of cache. */
export function* attentionShapes(type: CacheType): Generator<AttentionCase> {
  const usual = {
    type,
    n: 1,
    p0: 0,
    heads: 4,
    headOffset: 0,
    groupSize: 2,
    headDim: 32,
    window: 0,
    softCap: 0,
    size: 1,
  };
  for (const headDim of [4, 8, 16, 32, 64, 80, 96, 100, 128]) {
    yield { ...usual, headDim, n: 1, p0: 37 };
    yield { ...usual, headDim, n: 19, p0: 5 };
  }
  for (const [headDim, valueDim] of [[40, 32], [64, 4], [100, 60], [576, 512]]) {
    yield { ...usual, headDim, valueDim, n: 1, p0: 37 };
    yield { ...usual, headDim, valueDim, n: 19, p0: 50, groupSize: 4 };
  }
  for (const groupSize of [1, 2, 3, 4, 7, 8]) {
    for (const headOffset of [0, 1, groupSize - 1]) {
      yield { ...usual, heads: groupSize + 1, groupSize, headOffset, n: 1, p0: 70 };
      yield { ...usual, heads: 2 * groupSize, groupSize, headOffset, n: 6, p0: 3 };
    }
  }
  // More groups than are gone through at once, the first and the last one not whole.
  for (const n of [1, 5]) {
    yield { ...usual, n, p0: 90, heads: 40, groupSize: 1, headDim: 128 };
    yield { ...usual, n, p0: 64, heads: 63, groupSize: 4, headOffset: 2, headDim: 128 };
  }
  for (const n of [1, 2, 3, 4, 5, 16, 17, 64]) {
    for (const p0 of [0, 1, 31, 32, 33, 63, 64, 65, 130]) yield { ...usual, n, p0, headDim: 16 };
  }
  for (const window of [1, 2, 5, 32, 33, 64, 100]) {
    yield { ...usual, n: 1, p0: 99, window };
    yield { ...usual, n: 40, p0: 0, window };
    yield { ...usual, n: 9, p0: 150, window };
  }
  for (const softCap of [0.5, 5, 50]) {
    for (const n of [1, 3, 20]) yield { ...usual, n, p0: 70, softCap, size: 4, window: 50 };
  }
  for (const sink of [-1000, -3, 0, 3, 12]) {
    for (const n of [1, 3, 20]) yield { ...usual, n, p0: 70, sink, window: 50, heads: 5 };
    yield { ...usual, n: 2, p0: 0, sink, headOffset: 1, size: 4 };
  }
  for (const chunk of [1, 3, 32, 40, 64]) {
    yield { ...usual, n: 1, p0: 99, chunk };
    yield { ...usual, n: 40, p0: 50, chunk, heads: 5 };
    yield { ...usual, n: 40, p0: 50, chunk, heads: 5, ahead: 2 ** 31 - 1, behind: 30 };
  }
  for (const slope of [0.01, 0.5, 4]) {
    for (const n of [1, 3, 20]) yield { ...usual, n, p0: 70, slope, heads: 5, headOffset: 1 };
  }
  for (const n of [1, 3, 21]) yield { ...usual, n, p0: 300, bias: 2, heads: 5, headOffset: 1 };
  for (const behind of [1, 130, 290]) {
    yield { ...usual, n: 33, p0: 190, bias: 3, heads: 5, ahead: 2 ** 31 - 1, behind };
  }
  for (const ahead of [1, 16, 31, 32, 2 ** 31 - 1]) {
    yield { ...usual, n: 40, p0: 0, ahead, heads: 5 };
    yield { ...usual, n: 64, p0: 64, ahead, behind: 70, window: ahead % 2 === 0 ? ahead + 1 : 0 };
    yield { ...usual, n: 3, p0: 30, ahead, behind: 1, slope: 0.5, headOffset: 1 };
    yield { ...usual, n: 1, p0: 7, ahead, behind: 90, window: 5 };
  }
  yield { ...usual, n: 3, p0: 700, headDim: 64, size: 30 };
  yield { ...usual, n: 20, p0: 300, headDim: 64, size: 30 };
  yield { ...usual, n: 3, p0: 20, size: 0 };
}
