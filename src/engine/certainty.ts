/**
 * How sure a model is of an id for a place, by the scores of that place. Pure arithmetic; larger is
 * surer.
 */

import type { FillOrder } from "./fill_settings.ts";

/**
 * "confidence": log p of the chosen id. "entropy": Σ p · log p. "margin": p of the best one less p
 * of the second (Ye et al. 2025, "Dream 7B"). All of the softmax of all scores, whatever the id was
 * chosen by. Scores of -Infinity are no ids.
 */
export function certaintyOf(
  scores: Float32Array,
  id: number,
  order: Exclude<FillOrder, "random">,
): number {
  let first = -Infinity, second = -Infinity;
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i];
    if (score > first) {
      second = first;
      first = score;
    } else if (score > second) second = score;
  }
  let sum = 0, weighed = 0;
  for (let i = 0; i < scores.length; i++) {
    const above = scores[i] - first;
    const weight = Math.exp(above);
    if (weight === 0) continue;
    sum += weight;
    weighed += weight * above;
  }
  if (order === "confidence") return scores[id] - first - Math.log(sum);
  if (order === "entropy") return weighed / sum - Math.log(sum);
  return (1 - Math.exp(second - first)) / sum;
}
