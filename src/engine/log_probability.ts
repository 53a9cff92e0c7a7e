/** How surprised a model is by a token. Works on a row of logits; knows nothing of models. */

/**
 * −log p(id) under the softmax of `logits` [vocab]: in nats, summed in f64. Logits of any size will
 * do; NaN among them gives NaN.
 */
export function negativeLogProbability(logits: Float32Array, id: number): number {
  let most = -Infinity;
  for (let i = 0; i < logits.length; i++) if (!(logits[i] <= most)) most = logits[i];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - most);
  return Math.log(sum) + most - logits[id];
}
