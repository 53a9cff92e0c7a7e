import { assert, assertAlmostEquals, assertEquals, assertLess } from "@std/assert";
import type { SamplingOptions } from "../../src/llm/types.ts";
import { LogitsSampler } from "../support/score_board.ts";

const VOCAB = 2000;
/** Probabilities fall as real ones do: 1 / rank ** 1.2. */
const LOGITS = Float32Array.from({ length: VOCAB }, (_, rank) => -1.2 * Math.log(rank + 1));
const SHARES = ((weights) => {
  const total = weights.reduce((sum, weight) => sum + weight);
  return weights.map((weight) => weight / total);
})([...LOGITS].map(Math.exp));

/** Ids that follow one another, and the mean surprise of the last half of them, in bits. */
function draw(options: SamplingOptions, count: number) {
  const sampler = new LogitsSampler({ temperature: 1, seed: 3, ...options }, VOCAB);
  const ids: number[] = [];
  for (let i = 0; i < count; i++) {
    ids.push(sampler.sample(LOGITS));
    sampler.accept(ids[i]);
  }
  const last = ids.slice(count / 2);
  return { ids, bits: last.reduce((sum, id) => sum - Math.log2(SHARES[id]), 0) / last.length };
}

for (const mirostat of [1, 2] as const) {
  Deno.test(`Mirostat ${mirostat} makes answers more surprising the more it is to be`, () => {
    // By the probabilities of what is kept an answer is as surprising as it is told to be; by the
    // model's own a bit less than two bits more.
    const bits = [1, 2, 3, 4].map((mirostatTau) => draw({ mirostat, mirostatTau }, 4000).bits);
    for (let i = 1; i < 4; i++) assertLess(bits[i - 1] + 0.3, bits[i], `${bits}`);
    const cold = draw({ mirostat, mirostatTau: 0 }, 200).ids.slice(100);
    assertEquals(new Set(cold), new Set([0]));
  });

  Deno.test(`Mirostat ${mirostat} leaves no step on, and greedy answers alone`, () => {
    const options = { mirostat, mirostatTau: 4 };
    assertEquals(draw({ ...options, topK: 1 }, 50), draw({ ...options, topK: 0 }, 50));
    assertEquals(new Set(draw({ ...options, temperature: 0 }, 20).ids), new Set([0]));
  });

  Deno.test(`Mirostat ${mirostat} learns from what the answer goes on with alone`, () => {
    // Ids of a prompt, and a draw that is not taken.
    const run = (isTaken: boolean) => {
      const sampler = new LogitsSampler(
        { temperature: 1, seed: 3, mirostat, mirostatTau: 4, mirostatEta: 1 },
        VOCAB,
      );
      for (const id of [5, 6, 7]) sampler.accept(id);
      const first = sampler.sample(LOGITS);
      sampler.accept(isTaken ? first : VOCAB - 1 - first);
      return Array.from({ length: 200 }, () => sampler.sample(LOGITS));
    };
    const [taken, other] = [run(true), run(false)];
    assert(taken.some((id, i) => id !== other[i]), "one learnt, the other did not");
  });
}

Deno.test("Mirostat keeps to its aim by the probabilities of what it keeps", () => {
  // Version 2 cuts at the surprise mu: what is kept has the rest's probability shared out.
  let mu = 2 * 3;
  const sampler = new LogitsSampler(
    { temperature: 1, seed: 9, mirostat: 2, mirostatTau: 3 },
    VOCAB,
  );
  let sum = 0;
  const count = 3000;
  for (let i = 0; i < count; i++) {
    const id = sampler.sample(LOGITS);
    sampler.accept(id);
    const kept = SHARES.filter((share) => share >= 2 ** -mu);
    const total = kept.reduce((all, share) => all + share, 0) || SHARES[0];
    assert(SHARES[id] >= Math.min(2 ** -mu, SHARES[0]) * (1 - 1e-5), `${id} within ${mu} bits`);
    const bits = -Math.log2(SHARES[id] / total);
    mu -= 0.1 * (bits - 3);
    sum += bits;
  }
  assertAlmostEquals(sum / count, 3, 0.1);
});
