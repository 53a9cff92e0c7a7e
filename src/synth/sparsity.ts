/**
 * How often each neuron of a made-up ReLU model fires. Knows probabilities and thresholds; knows
 * nothing of tensors.
 */
import { check } from "../base/check.ts";
import type { SeededRandom } from "./seeded_random.ts";

/**
 * Spread of the logarithm of a neuron's firing rate: a quarter of the neurons then gives four
 * fifths of all firings, as PowerInfer measured (arXiv:2312.12456, section 2: 26 % and 80 %).
 */
const LOG_RATE_SPREAD = 1.485;
/** No neuron fires more often than this. */
const RATE_MAX = 0.95;
/** What `firingThresholds` accepts: beyond, single neurons decide. */
export const SPARSITY_MIN = 0.1;
export const SPARSITY_MAX = 0.999;
/** As `SPARSITY_MIN`, where two halves of a neuron must fire. */
export const DRELU_SPARSITY_MIN = 0.2;

/** A rule for drawing neurons' thresholds. */
export interface FiringThresholds {
  /**
   * By how many standard deviations a neuron's gate lies below zero; negative for neurons that
   * fire more often than not.
   */
  next(random: SeededRandom): number;
}

/**
 * Thresholds under which a neuron is silent with probability `sparsity` on average over neurons,
 * when gates are normal.
 */
export function firingThresholds(sparsity: number): FiringThresholds {
  check(sparsity >= SPARSITY_MIN && sparsity <= SPARSITY_MAX, `a sparsity of ${sparsity}`);
  const scale = rateScale(1 - sparsity);
  return {
    next: (random) => normalQuantile(1 - rate(scale, random.normal())),
  };
}

function rate(scale: number, normal: number): number {
  return Math.min(RATE_MAX, scale * Math.exp(LOG_RATE_SPREAD * normal));
}

/** The scale that makes the mean of all rates `meanRate`, by bisection. */
function rateScale(meanRate: number): number {
  const samples = Array.from({ length: 1000 }, (_, i) => normalQuantile((i + 0.5) / 1000));
  const meanAt = (scale: number) =>
    samples.reduce((sum, sample) => sum + rate(scale, sample), 0) / samples.length;
  let low = 0;
  let high = 1;
  while (meanAt(high) < meanRate) high *= 2;
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (meanAt(middle) < meanRate) low = middle;
    else high = middle;
  }
  return high;
}

/**
 * The x below which a standard normal lies with probability p; off by at most 4.5e-4 (Abramowitz
 * and Stegun, "Handbook of Mathematical Functions", 26.2.23).
 */
export function normalQuantile(p: number): number {
  if (p > 0.5) return -normalQuantile(1 - p);
  const t = Math.sqrt(-2 * Math.log(p));
  const numerator = 2.515517 + t * (0.802853 + t * 0.010328);
  const denominator = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308));
  return numerator / denominator - t;
}
