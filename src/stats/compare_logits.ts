/**
 * How far one way to compute a model is from another, by the logits of both: KL divergence, the
 * best token, perplexity. Pure arithmetic.
 */
import { check } from "../base/check.ts";

export interface LogitsComparison {
  /** Σ p · (log p − log q) of the first way's probabilities p and the second's q, nats. */
  readonly klMean: number;
  readonly klMax: number;
  /** Share of positions where both think the same token best. */
  readonly top1Agreement: number;
  /** Perplexity of the tokens that followed, by the first way and the second. */
  readonly pplFirst: number;
  readonly pplSecond: number;
  readonly positions: number;
  /** Tokens that the perplexities are of. */
  readonly tokens: number;
}

export class LogitsComparer {
  #klSum = 0;
  #klMax = 0;
  #agreeing = 0;
  #positions = 0;
  readonly #nll = [0, 0];
  #tokens = 0;

  /** Adds a position's logits, [vocab] each; next: the id that followed, or null. */
  add(first: Float32Array, second: Float32Array, next: number | null): void {
    check(first.length === second.length, "logits of the same vocabulary");
    const [one, other] = [first, second].map(normalize);
    let kl = 0;
    for (let i = 0; i < first.length; i++) {
      const logP = first[i] - one.logSum;
      kl += Math.exp(logP) * (logP - (second[i] - other.logSum));
    }
    this.#klSum += Math.max(0, kl);
    this.#klMax = Math.max(this.#klMax, kl);
    if (one.best === other.best) this.#agreeing++;
    this.#positions++;
    if (next === null) return;
    this.#nll[0] += one.logSum - first[next];
    this.#nll[1] += other.logSum - second[next];
    this.#tokens++;
  }

  result(): LogitsComparison {
    const [pplFirst, pplSecond] = this.#nll.map((nll) => Math.exp(nll / this.#tokens));
    return {
      klMean: this.#klSum / this.#positions,
      klMax: this.#klMax,
      top1Agreement: this.#agreeing / this.#positions,
      pplFirst,
      pplSecond,
      positions: this.#positions,
      tokens: this.#tokens,
    };
  }
}

/** log Σ exp(logits), and the index of the largest. */
function normalize(logits: Float32Array): { logSum: number; best: number } {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  const top = logits[best];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - top);
  return { logSum: top + Math.log(sum), best };
}
