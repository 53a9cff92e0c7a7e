/** Lightning attention: how fast states of each head fade, which no file says. */

/** Of a layer's rate so much is left in the last one. */
const RATE_LEAST = 1e-5;

/**
 * What a token's age is multiplied by in the exponent, below 0, for each head: −2^(−8 · (h + 1) /
 * headCount), which falls from layer to layer, in the last one nearly to 0 (MiniMax 2025,
 * "MiniMax-01"). Heads that are no power of two have the same formula, as in llama.cpp.
 *
 * @param blockCount layers of all kinds, 2 at least.
 */
export function lightningDecays(
  headCount: number,
  layer: number,
  blockCount: number,
): Float64Array {
  const ofLayer = 1 - layer / (blockCount - 1) + RATE_LEAST;
  return Float64Array.from(
    { length: headCount },
    (_, head) => -ofLayer * 2 ** (-8 * (head + 1) / headCount),
  );
}
