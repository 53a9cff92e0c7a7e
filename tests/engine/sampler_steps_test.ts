import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { Candidates } from "../../src/engine/sampler_candidates.ts";
import type { SamplingOptions } from "../../src/llm/types.ts";
import { LogitsSampler } from "../support/score_board.ts";

/** Nothing narrows the choice, nothing changes a logit: what a test is not about. */
const PLAIN: SamplingOptions = { temperature: 1, topK: 0, topP: 1, minP: 0, seed: 1 };
/** Of ids 0 to 4. */
const PROBABILITIES = [0.2, 0.4, 0.02, 0.3, 0.08];
const LOGITS = Float32Array.from(PROBABILITIES, (p) => Math.log(p) + 3);

/** The distribution that an id is drawn from, [5]; summing to 1. */
function distribution(options: SamplingOptions): number[] {
  const sampler = new LogitsSampler({ ...PLAIN, ...options }, LOGITS.length);
  const shares = LOGITS.map(() => 0);
  const { pick } = Candidates.prototype;
  Candidates.prototype.pick = function (this: Candidates, point) {
    const { ids } = sampler.board;
    for (const id of ids.subarray(0, this.count)) shares[id] = this.shareOf(id);
    return pick.call(this, point);
  };
  try {
    sampler.sample(LOGITS);
  } finally {
    Candidates.prototype.pick = pick;
  }
  return [...shares];
}

function assertDistribution(options: SamplingOptions, weights: readonly number[]): void {
  const total = weights.reduce((sum, weight) => sum + weight);
  const found = distribution(options);
  const text = JSON.stringify(options);
  found.forEach((share, id) => assertAlmostEquals(share, weights[id] / total, 1e-6, text));
}

Deno.test("Sampler keeps what is some deviations of all logits below the best", () => {
  const mean = LOGITS.reduce((sum, each) => sum + each) / 5;
  const sigma = Math.sqrt(LOGITS.reduce((sum, each) => sum + (each - mean) ** 2, 0) / 5);
  const distance = (id: number) => (LOGITS[1] - LOGITS[id]) / sigma;
  for (const id of [3, 0, 4]) {
    const topNSigma = distance(id) * 1.001;
    const kept = PROBABILITIES.map((p, other) => distance(other) <= topNSigma ? p : 0);
    assertEquals(kept[id], PROBABILITIES[id]);
    assertDistribution({ topNSigma }, kept);
    // Of all logits, also where few ids are kept.
    assertDistribution({ topNSigma, topK: 2 }, kept.map((p) => p >= 0.3 ? p : 0));
  }
  assertDistribution({ topNSigma: 0 }, PROBABILITIES);
  assertDistribution({ topNSigma: NaN }, PROBABILITIES);
});

Deno.test("Sampler leaves out the top choices but the least likely of them", () => {
  const always = { xtcProbability: 1 };
  assertDistribution({ ...always, xtcThreshold: 0.25 }, [0.2, 0, 0.02, 0.3, 0.08]);
  assertDistribution({ ...always, xtcThreshold: 0.1 }, [0.2, 0, 0.02, 0, 0.08]);
  assertDistribution(always, [0.2, 0, 0.02, 0, 0.08]);
  assertDistribution({ ...always, xtcThreshold: 0 }, [0, 0, 1, 0, 0]);
  // One above it is no choice; above a half there is one at most.
  assertDistribution({ ...always, xtcThreshold: 0.35 }, PROBABILITIES);
  assertDistribution({ ...always, xtcThreshold: 0.51 }, PROBABILITIES);
  assertDistribution({ xtcProbability: 0, xtcThreshold: 0.1 }, PROBABILITIES);
});

Deno.test("Sampler leaves them out as often as it is told to", () => {
  const sampler = new LogitsSampler({ ...PLAIN, xtcProbability: 0.25, xtcThreshold: 0.25 }, 5);
  const draws = 20_000;
  let best = 0;
  for (let i = 0; i < draws; i++) if (sampler.sample(LOGITS) === 1) best++;
  // Three of four times it is 0.4.
  assertAlmostEquals(best / draws, 0.3, 0.02);
});

Deno.test("Sampler has a temperature that depends on how sure the model is", () => {
  const entropy = -PROBABILITIES.reduce((sum, p) => sum + p * Math.log(p), 0) / Math.log(5);
  const heated = (temperature: number) => PROBABILITIES.map((p) => p ** (1 / temperature));
  for (const [temperature, range, exponent] of [[1, 0.5, 1], [0.5, 0.9, 2], [2, 2, 0.5]]) {
    const coldest = Math.max(0, temperature - range);
    const chosen = coldest + (temperature + range - coldest) * entropy ** exponent;
    assertDistribution(
      { temperature, temperatureRange: range, temperatureExponent: exponent },
      heated(chosen),
    );
  }
  // Where one is left, and where it comes to 0.
  assertDistribution({ topK: 1, temperatureRange: 1 }, [0, 1, 0, 0, 0]);
  const cold = { temperature: 0.5, temperatureRange: 0.5, temperatureExponent: Infinity };
  assertDistribution(cold, [0, 1, 0, 0, 0]);
});

Deno.test("Sampler takes its steps in the order of the request", () => {
  const asked = { temperature: 0.5, topP: 0.55, topK: 4 };
  // Squares 0.04, 0.16, 0.0004, 0.09, 0.0064: the best is 0.54 of them, of probabilities 0.4.
  assertDistribution({ ...asked, steps: ["temperature", "topP"] }, [0, 0.16, 0, 0.09, 0]);
  assertDistribution({ ...asked, topP: 0.53, steps: ["temperature", "topP"] }, [0, 1, 0, 0, 0]);
  assertDistribution({ ...asked, topP: 0.53 }, [0, 0.16, 0, 0.09, 0]);
  // What is not named is off.
  assertDistribution({ ...asked, steps: ["topK"] }, [0.2, 0.4, 0, 0.3, 0.08]);
  assertDistribution({ ...asked, steps: [] }, PROBABILITIES);
  assertDistribution({ minP: 0.6, topK: 1, steps: ["minP", "topK"] }, [0, 1, 0, 0, 0]);
  const xtc = { xtcProbability: 1, xtcThreshold: 0.25, topK: 2 };
  assertDistribution({ ...xtc, steps: ["xtc", "topK"] }, [0.2, 0, 0, 0.3, 0]);
  assertDistribution({ ...xtc, steps: ["topK", "xtc"] }, [0, 0, 0, 0.3, 0]);
  // Typical by the probabilities of the temperature: the hottest ones are all alike.
  const typical = { temperature: 1e6, typicalP: 0.59 };
  const kept = distribution({ ...typical, steps: ["temperature", "typicalP"] });
  assertEquals(kept.filter((share) => share > 0).length, 3);
});

Deno.test("Sampler foretells to a GPU what it does by the usual steps alone", () => {
  const foretold = (options: SamplingOptions) => {
    const choice = { temperature: 0, topK: 0, topP: 0, minP: 0, points: new Float64Array(1) };
    return new LogitsSampler({ ...options, seed: 1 }, 1000).foretell(choice, 1) && choice;
  };
  const usual = foretold({ topK: 20 });
  assert(usual && usual.topK === 20 && usual.topP === 0.95);
  const others: SamplingOptions[] = [
    ...[{ topNSigma: 1 }, { xtcProbability: 0.1 }, { temperatureRange: 0.1 }, { mirostat: 2 }],
    ...[{ dryMultiplier: 0.8 }, { typicalP: 0.9 }, { adaptiveTarget: 0 }] as const,
    { steps: ["temperature", "topK"] },
    { steps: ["topK"] },
    { steps: ["topK", "minP", "topP", "temperature"] },
  ] as const;
  for (const each of others) assertEquals(foretold({ topK: 20, ...each }), false);
  assert(foretold({ topK: 20, steps: ["topK", "topP", "temperature"] }));
  assert(foretold({ topK: 20, xtcProbability: 0.1, xtcThreshold: 0.6 }));
});
