/** How surprised a model is by a token. Works on a row of logits; knows nothing of models. */

/**
 * −log p(id) under the softmax of `logits` [vocab]: in nats, summed in f64. Logits of any size will
 * do; NaN among them gives NaN.
 */
export function negativeLogProbability(logits: Float32Array, id: number): number {
  return logSumExp(logits) - logits[id];
}

/** ln Σ exp(logits): what a logit is below to give its token's log probability. */
export function logSumExp(logits: Float32Array): number {
  let most = -Infinity;
  for (let i = 0; i < logits.length; i++) if (!(logits[i] <= most)) most = logits[i];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - most);
  return Math.log(sum) + most;
}

/** Whether id `a` comes before `b`: that of the larger number, of the same one the smaller id. */
export function comesFirst(scores: Float32Array, a: number, b: number): boolean {
  return scores[a] > scores[b] || scores[a] === scores[b] && a < b;
}
