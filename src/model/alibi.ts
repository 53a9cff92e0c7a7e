/** Attention with linear biases: how fast scores of each head fall with distance. */

/**
 * A slope for each head: 2^(−maxBias · (h + 1) / n) for the first n, the largest power of two that
 * is not more than the heads; for others every second one of twice as many (Press et al. 2021,
 * "Train Short, Test Long", 3).
 */
export function alibiSlopes(headCount: number, maxBias: number): Float64Array {
  const even = 2 ** Math.floor(Math.log2(headCount));
  return Float64Array.from({ length: headCount }, (_, head) => {
    const step = head < even ? head + 1 : head - even + 0.5;
    return 2 ** (-maxBias * step / even);
  });
}
