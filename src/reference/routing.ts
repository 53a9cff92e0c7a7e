/** Which experts a token uses, and how much of each: plain formulas. Knows no weights of models. */
import type { ExpertsConfig } from "../model/mod.ts";
import { each, type Numbers, softmax } from "./ops.ts";
import { softplus } from "./state_space.ts";

/** An expert's part in the result of a token. */
export interface ExpertShare {
  readonly expert: number;
  /** Multiplies what the expert adds. */
  readonly weight: number;
}

/** Weights are divided by at least this: a sum of 0 must not make them infinite. */
const WEIGHT_SUM_MIN = 2 ** -14;

/**
 * The experts of one token, the likeliest first; among equals the one that comes first.
 *
 * config.listed: those that the token itself says, instead.
 *
 * @param logits     router's, [expert count]
 * @param choiceBias added to the probabilities for the choice only, [expert count], or null
 */
export function chooseExperts(
  logits: Numbers,
  choiceBias: Numbers | null,
  config: ExpertsConfig & { readonly listed?: readonly number[] },
): ExpertShare[] {
  const probabilities = gate(logits, config.gating);
  const scores = Array.from(probabilities, (each, expert) => each + (choiceBias?.[expert] ?? 0));
  const isOpen = openGroups(scores, config);
  const order = scores.map((score, expert) => ({
    expert,
    rank: isOpen(expert) ? score : -Infinity,
  }));
  order.sort((a, b) => b.rank - a.rank || a.expert - b.expert);
  const chosen = config.listed ?? order.slice(0, config.usedCount).map(({ expert }) => expert);

  let weights: Float64Array = each(chosen, (expert) => probabilities[expert]);
  if (config.gating === "softmaxOfChosen") weights = softmax(weights);
  if (config.normalizesWeights) {
    const sum = Math.max(WEIGHT_SUM_MIN, weights.reduce((total, weight) => total + weight, 0));
    weights = weights.map((weight) => weight / sum);
  }
  return chosen.map((expert, i) => ({ expert, weight: weights[i] * config.weightScale }));
}

/** Which experts are in groups that may be chosen from. */
function openGroups(scores: readonly number[], config: ExpertsConfig): (expert: number) => boolean {
  const { groups } = config;
  if (groups === undefined) return () => true;
  const size = scores.length / groups.count;
  const sums = Array.from({ length: groups.count }, (_, group) => {
    const own = scores.slice(group * size, (group + 1) * size).toSorted((a, b) => b - a);
    return { group, sum: own[0] + own[1] };
  });
  sums.sort((a, b) => b.sum - a.sum || a.group - b.group);
  const open = new Set(sums.slice(0, groups.usedCount).map(({ group }) => group));
  return (expert) => open.has(Math.floor(expert / size));
}

function gate(logits: Numbers, gating: ExpertsConfig["gating"]): Float64Array {
  switch (gating) {
    case "softmax":
      return softmax(logits);
    case "sigmoid":
      return each(logits, sigmoid);
    case "rootSoftplus":
      return each(logits, (x) => Math.sqrt(softplus(x)));
    case "softmaxOfChosen":
      return Float64Array.from(logits);
  }
}

/** 1 / (1 + exp(−x)). */
export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
