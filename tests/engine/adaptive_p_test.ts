import { assert, assertAlmostEquals, assertEquals, assertLess } from "@std/assert";
import type { SamplingOptions } from "../../src/llm/types.ts";
import { LogitsSampler } from "../support/score_board.ts";

/** Of six ids. */
const SHARES = [0.45, 0.25, 0.15, 0.1, 0.04, 0.01];
const LOGITS = Float32Array.from(SHARES, Math.log);
const ALL: SamplingOptions = { temperature: 1, topK: 0, topP: 1, minP: 0, seed: 7 };

/** How often each id comes in `count` draws, each of which the answer goes on with. */
function draw(options: SamplingOptions, count: number) {
  const sampler = new LogitsSampler({ ...ALL, ...options }, SHARES.length);
  const counts = SHARES.map(() => 0);
  for (let i = 0; i < count; i++) {
    const id = sampler.sample(LOGITS);
    sampler.accept(id);
    counts[id]++;
  }
  return counts.map((times) => times / count);
}

/** The chances of ids where `aim` is aimed at, written as the sampler of llama.cpp is described. */
function chances(aim: number, shares: readonly number[]): number[] {
  const logits = shares.map((share) => {
    const distance = Math.abs(share - aim) / 0.3;
    return 5 - 10 * distance ** 2 / (1 + distance);
  });
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
  return logits.map((logit) => Math.exp(logit) / total);
}

Deno.test("adaptive-p draws what is near its aim, and moves the aim by what was drawn", () => {
  // Its own walk: each draw is tested by the chance it had, summed up by id.
  const options = { adaptiveTarget: 0.3, adaptiveDecay: 0.8 };
  const sampler = new LogitsSampler({ ...ALL, ...options }, SHARES.length);
  let [drawnSum, ageSum] = [0.3 / 0.2, 1 / 0.2];
  const count = 20_000;
  const [expected, seen] = [SHARES.map(() => 0), SHARES.map(() => 0)];
  for (let i = 0; i < count; i++) {
    const aim = Math.min(1, Math.max(0, 0.6 - drawnSum / ageSum));
    chances(aim, SHARES).forEach((chance, id) => expected[id] += chance / count);
    const id = sampler.sample(LOGITS);
    sampler.accept(id);
    seen[id] += 1 / count;
    [drawnSum, ageSum] = [SHARES[id] + 0.8 * drawnSum, 1 + 0.8 * ageSum];
  }
  // Deviations of at most 0.0035 by chance.
  seen.forEach((share, id) => assertAlmostEquals(share, expected[id], 0.012, `id ${id}: ${seen}`));
});

Deno.test("adaptive-p begins with its aim itself", () => {
  const count = 3000;
  const seen = SHARES.map(() => 0);
  for (let seed = 0; seed < count; seed++) {
    const options = { ...ALL, seed, adaptiveTarget: 0.15 };
    seen[new LogitsSampler(options, SHARES.length).sample(LOGITS)] += 1 / count;
  }
  const expected = chances(0.15, SHARES);
  seen.forEach((share, id) => assertAlmostEquals(share, expected[id], 0.03, `id ${id}: ${seen}`));
});

Deno.test("adaptive-p comes to its aim on the whole", () => {
  for (const target of [0.1, 0.2, 0.3]) {
    const mean = draw({ adaptiveTarget: target, adaptiveDecay: 0.95 }, 6000)
      .reduce((sum, often, id) => sum + often * SHARES[id], 0);
    assertAlmostEquals(mean, target, 0.02);
  }
  // An id of 0.01 comes oftener the lower the aim is.
  const rare = [0.4, 0.2, 0.05].map((adaptiveTarget) => draw({ adaptiveTarget }, 4000)[5]);
  assertLess(rare[0], rare[1]);
  assertLess(rare[1], rare[2]);
});

Deno.test("adaptive-p chooses of what the steps leave, by their probabilities", () => {
  // Of two ids, 0.45 / 0.7 and 0.25 / 0.7, the less likely one is the aim.
  const often = draw({ topK: 2, adaptiveTarget: 0.25 / 0.7, adaptiveDecay: 0 }, 4000);
  assertEquals(often.slice(2), [0, 0, 0, 0]);
  assertLess(often[0], often[1]);
  // At a temperature that makes all alike, probabilities say nothing.
  const hot = draw({ temperature: 1e6, adaptiveTarget: 0.4 }, 6000);
  for (const share of hot) assertAlmostEquals(share, 1 / 6, 0.025);
});

Deno.test("adaptive-p is off below 0, for greedy answers, and where mirostat is on", () => {
  assertEquals(draw({ adaptiveTarget: -1 }, 200), draw({}, 200));
  assertEquals(draw({ adaptiveTarget: 0, temperature: 0 }, 20), [1, 0, 0, 0, 0, 0]);
  const mirostat = { mirostat: 2, mirostatTau: 1.5 } as const;
  assertEquals(draw({ ...mirostat, adaptiveTarget: 0 }, 200), draw(mirostat, 200));
});

Deno.test("adaptive-p learns from what the answer goes on with alone", () => {
  const run = (isTaken: boolean, again = false) => {
    const sampler = new LogitsSampler({ ...ALL, adaptiveTarget: 0.2 }, SHARES.length);
    for (const id of [3, 4, 5]) sampler.accept(id); // of a prompt
    return Array.from({ length: 300 }, () => {
      const id = sampler.sample(LOGITS);
      sampler.accept(isTaken ? id : (id + 1) % SHARES.length);
      if (again) sampler.accept(id);
      return id;
    });
  };
  const [taken, other] = [run(true), run(false)];
  assert(taken.some((id, i) => id !== other[i]), "one learnt, the other did not");
  // What follows without a draw counts for nothing, even if it is the same once more.
  assertEquals(run(true, true), taken);
});
