import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import { SeededRandom } from "../../src/engine/sampler_random.ts";
import type { SamplingOptions } from "../../src/llm/types.ts";
import { Rng } from "../support/rng.ts";
import { LogitsSampler } from "../support/score_board.ts";

/** Nothing narrows the choice, nothing changes a logit: what a test is not about. */
const PLAIN: SamplingOptions = { temperature: 1, topK: 0, topP: 1, minP: 0, seed: 1 };

/** Probabilities 0.4, 0.3, 0.2, 0.08, 0.02, in an order that is not sorted. */
const PROBABILITIES = [0.2, 0.4, 0.02, 0.3, 0.08];
const LOGITS = Float32Array.from(PROBABILITIES, (p) => Math.log(p) + 3);

Deno.test("Sampler draws each id as often as its probability says", () => {
  assertFrequencies({}, PROBABILITIES);
});

Deno.test("Sampler raises probabilities to 1 / temperature", () => {
  assertFrequencies({ temperature: 0.5 }, PROBABILITIES.map((p) => p ** 2));
  assertFrequencies({ temperature: 4 }, PROBABILITIES.map((p) => p ** 0.25));
  assertFrequencies({ temperature: Infinity }, [1, 1, 1, 1, 1]);
  assertFrequencies({ temperature: 1e-300 }, [0, 1, 0, 0, 0]);
});

Deno.test("Sampler keeps the k best", () => {
  assertFrequencies({ topK: 1 }, [0, 1, 0, 0, 0]);
  assertFrequencies({ topK: 2 }, [0, 0.4, 0, 0.3, 0]);
  assertFrequencies({ topK: 4 }, [0.2, 0.4, 0, 0.3, 0.08]);
  assertFrequencies({ topK: 100 }, PROBABILITIES);
});

Deno.test("Sampler keeps the smallest set that reaches top-p", () => {
  assertFrequencies({ topP: 0 }, [0, 1, 0, 0, 0]);
  assertFrequencies({ topP: 0.39 }, [0, 1, 0, 0, 0]);
  assertFrequencies({ topP: 0.41 }, [0, 0.4, 0, 0.3, 0]);
  assertFrequencies({ topP: 0.69 }, [0, 0.4, 0, 0.3, 0]);
  assertFrequencies({ topP: 0.71 }, [0.2, 0.4, 0, 0.3, 0]);
  assertFrequencies({ topP: 0.99 }, PROBABILITIES);
});

Deno.test("Sampler drops what is less than min-p times as likely as the best", () => {
  assertFrequencies({ minP: 0.04 }, PROBABILITIES); // the bars are 0.05, 0.2, 0.5 and 0.75
  assertFrequencies({ minP: 0.06 }, [0.2, 0.4, 0, 0.3, 0.08]);
  assertFrequencies({ minP: 0.74 }, [0, 0.4, 0, 0.3, 0]);
  assertFrequencies({ minP: 1 }, [0, 1, 0, 0, 0]);
  assertFrequencies({ minP: 7 }, [0, 1, 0, 0, 0]);
});

Deno.test("Sampler keeps the ids whose surprise is nearest to the expected one", () => {
  // Entropy 1.33 nats; surprises 1.61, 0.92, 3.91, 1.20, 2.53: nearest are ids 3, 0, 1, 4, 2.
  assertFrequencies({ typicalP: 0 }, [0, 0, 0, 1, 0]);
  assertFrequencies({ typicalP: 0.29 }, [0, 0, 0, 1, 0]);
  assertFrequencies({ typicalP: 0.31 }, [0.2, 0, 0, 0.3, 0]);
  assertFrequencies({ typicalP: 0.51 }, [0.2, 0.4, 0, 0.3, 0]);
  assertFrequencies({ typicalP: 0.91 }, [0.2, 0.4, 0, 0.3, 0.08]);
});

Deno.test("Sampler applies its steps in the documented order", () => {
  // Top-k leaves 0.4 and 0.3; of that 0.57 is the best's, so top-p 0.55 takes it alone.
  assertFrequencies({ topK: 2, topP: 0.55 }, [0, 1, 0, 0, 0]);
  // Typical drops the best (0.4); min-p then measures by 0.3: 0.2 stays.
  assertFrequencies({ typicalP: 0.45, minP: 0.6 }, [0.2, 0, 0, 0.3, 0]);
  // A temperature that flattens everything does not widen top-p's set.
  assertFrequencies({ topP: 0.69, temperature: 1e9 }, [0, 1, 0, 1, 0]);
  // The penalty (0.4 down to below 0.02) comes before top-k, and so does the bias.
  const penalised = { topK: 2, presencePenalty: 5 };
  assertFrequencies(penalised, [0.2, 0, 0, 0.3, 0], [1]);
  assertFrequencies({ topK: 1, logitBias: new Map([[2, 10]]) }, [0, 0, 1, 0, 0]);
  // The penalty halves id 3's 1.80 to 0.90 and leaves the bias whole: 1.50 is above id 0's 1.39.
  const both = { repeatPenalty: 2, topK: 1, logitBias: new Map([[3, 0.6]]) };
  assertFrequencies(both, [0, 0, 0, 1, 0], [3, 1]);
});

Deno.test("Sampler takes the best id at temperature 0, after penalties and bias", () => {
  const greedy = (options: SamplingOptions, accepted: number[] = []) => {
    const sampler = new LogitsSampler({ temperature: 0, ...options }, 5);
    accepted.forEach((id) => sampler.accept(id));
    return sampler.sample(LOGITS);
  };
  assertEquals(greedy({}), 1);
  assertEquals(greedy({ temperature: -1 }), 1);
  assertEquals(greedy({ repeatPenalty: 1.5 }), 1);
  assertEquals(greedy({ repeatPenalty: 1.5 }, [1]), 3);
  assertEquals(greedy({ presencePenalty: 0.5 }, [1]), 3);
  assertEquals(greedy({ logitBias: new Map([[2, 5]]) }), 2);
  assertEquals(greedy({ logitBias: new Map([[1, -Infinity], [3, -Infinity]]) }), 0);
});

Deno.test("Sampler penalises by the number of occurrences, not by presence alone", () => {
  const best = (frequencyPenalty: number, accepted: number[]) => {
    const sampler = new LogitsSampler({ temperature: 0, frequencyPenalty }, 2);
    accepted.forEach((id) => sampler.accept(id));
    return sampler.sample(Float32Array.of(1, 0));
  };
  assertEquals(best(0.4, [0, 0]), 0); // 1 - 0.8
  assertEquals(best(0.4, [0, 0, 0]), 1); // 1 - 1.2
  assertEquals(best(-2, [1]), 1);
});

Deno.test("Sampler multiplies negative logits by the repeat penalty, divides positive ones", () => {
  const best = (logits: number[], accepted: number) => {
    const sampler = new LogitsSampler({ temperature: 0, repeatPenalty: 2 }, 2);
    sampler.accept(accepted);
    return sampler.sample(Float32Array.from(logits));
  };
  assertEquals(best([-1, -1.5], 0), 1);
  assertEquals(best([-1, -2.5], 0), 0);
  assertEquals(best([3, 2], 0), 1);
  assertEquals(best([3, 1], 0), 0);
});

Deno.test("Sampler takes a repeat penalty that is not above 0 for none", () => {
  for (const repeatPenalty of [0, -1, NaN]) {
    const sampler = new LogitsSampler({ temperature: 0, repeatPenalty }, 2);
    sampler.accept(0);
    assertEquals(sampler.sample(Float32Array.of(-1, -2)), 0, `${repeatPenalty}`);
    assertEquals(sampler.sample(Float32Array.of(2, 1)), 0, `${repeatPenalty}`);
  }
});

Deno.test("Sampler forgets ids older than repeatLastN, and none when it is -1", () => {
  const best = (repeatLastN: number, accepted: number[]) => {
    const sampler = new LogitsSampler({ temperature: 0, presencePenalty: 2, repeatLastN }, 3);
    accepted.forEach((id) => sampler.accept(id));
    return sampler.sample(Float32Array.of(1, 0, -5));
  };
  assertEquals(best(2, [0, 2]), 1);
  assertEquals(best(2, [0, 2, 2]), 0);
  assertEquals(best(0, [0]), 0);
  assertEquals(best(-1, [0, ...new Array(1000).fill(2)]), 1);
  assertEquals(best(1e15, [0, ...new Array(1000).fill(2)]), 1);
});

Deno.test("Sampler repeats its ids with the same seed, and not with another", () => {
  const ids = (seed: number | undefined) => {
    const sampler = new LogitsSampler({ seed, repeatPenalty: 1.1 }, 1000);
    return { seed: sampler.seed, ids: drawIds(sampler, randomLogits(1000, 5), 50) };
  };
  assertEquals(ids(7), ids(7));
  assertEquals(ids(2 ** 40 + 7), ids(2 ** 40 + 7));
  const all = [7, 8, -7, 2 ** 40 + 7, undefined, undefined].map((seed) => ids(seed).ids.join());
  assertEquals(new Set(all).size, all.length);
  const unseeded = ids(undefined);
  assertEquals(ids(unseeded.seed), unseeded);
});

Deno.test("Sampler changes the scores of remembered and biased ids only", () => {
  const logits = randomLogits(100, 3);
  for (const temperature of [0, 0.8]) {
    const options = { temperature, repeatPenalty: 1.3, logitBias: new Map([[5, 3]]), seed: 1 };
    const sampler = new LogitsSampler(options, 100);
    sampler.accept(7);
    sampler.sample(logits);
    const { scores } = sampler.board;
    const changed = [...logits.keys()].filter((id) => scores[id] !== logits[id]);
    assertEquals(changed, [5, 7]);
  }
});

Deno.test("Sampler gives the ids it has always given for a seed", () => {
  const logits = randomLogits(2000, 12);
  const ids = (options: SamplingOptions) =>
    drawIds(new LogitsSampler({ seed: 9, ...options }, 2000), logits, 8);
  const flat = { temperature: 1.5, topP: 1, minP: 0 };
  const all = { ...flat, topK: 0 };
  assertEquals(ids({}), [787, 655, 1097, 787, 655, 816, 787, 255]);
  assertEquals(ids(flat), [787, 657, 1321, 787, 168, 615, 655, 1097]);
  assertEquals(ids(all), [255, 1443, 1626, 283, 1097, 1718, 615, 787]);
  assertEquals(ids({ ...all, typicalP: 0.7 }), [1584, 255, 787, 1584, 387, 787, 655, 1030]);
  const penalised = { ...flat, topK: 300, topP: 0.9, repeatPenalty: 1.2 };
  assertEquals(ids(penalised), [46, 255, 694, 1584, 1283, 1427, 787, 1922]);
});

Deno.test("Sampler.foretell() tells the draws that come, and leaves them to come", () => {
  const choice = { temperature: 0, topK: 1, topP: 1, minP: 0, points: new Float64Array(4) };
  const samplers = [1, 2].map(() => new LogitsSampler({ seed: 3, topK: 20 }, 500));
  const logits = randomLogits(500, 11);
  assertEquals(samplers[0].foretell(choice, 4), true);
  const random = new SeededRandom(3);
  assertEquals([...choice.points], [1, 2, 3, 4].map(() => random.next()));
  assertEquals([choice.temperature, choice.topK, choice.topP, choice.minP], [0.8, 20, 0.95, 0.05]);
  const [told, untold] = samplers.map((sampler) => drawIds(sampler, logits, 8));
  assertEquals(told, untold);
});

Deno.test("Sampler.foretell() refuses what more than the best scores decides", () => {
  const choice = { temperature: 0, topK: 1, topP: 1, minP: 0, points: new Float64Array(4) };
  const can = (options: SamplingOptions) => new LogitsSampler(options, 500).foretell(choice, 2);
  assertEquals([can({}), can({ temperature: 0, topK: 0 }), can({ topK: 64 })], [true, true, true]);
  const others: SamplingOptions[] = [
    ...[{ topK: 0 }, { topK: 65 }, { typicalP: 0.9 }, { repeatPenalty: 1.1 }],
    ...[{ presencePenalty: 1 }, { temperature: 0, logitBias: new Map([[3, 1]]) }],
  ];
  assertEquals(others.map(can), others.map(() => false));
});

Deno.test("Sampler uses the documented defaults", () => {
  const drawn = (options: SamplingOptions, weights: number[]) => {
    const logits = Float32Array.from(weights, Math.log);
    const sampler = new LogitsSampler({ temperature: 1, seed: 3, ...options }, weights.length);
    return new Set(Array.from({ length: 3000 }, () => sampler.sample(logits))).size;
  };
  assertEquals(drawn({ topP: 1, minP: 0 }, new Array(50).fill(1)), 40);
  assertEquals(drawn({ topK: 0, minP: 0 }, [94.5, 1, 1, 1, 1, 1]), 2);
  assertEquals(drawn({ topK: 0, minP: 0 }, [95.5, 1, 1, 1, 1]), 1);
  assertEquals(drawn({ topK: 0, topP: 1 }, [1, 0.052, 0.048]), 2);

  const logits = randomLogits(500, 11);
  const ids = (options: SamplingOptions) =>
    drawIds(
      new LogitsSampler({ seed: 3, topK: 0, minP: 0, topP: 1, ...options }, 500),
      logits,
      100,
    );
  assertEquals(ids({}), ids({ temperature: 0.8, typicalP: 1, repeatPenalty: 1 }));
  assert(ids({}).join() !== ids({ temperature: 0.81 }).join());
  assertEquals(ids({ presencePenalty: 9 }), ids({ presencePenalty: 9, repeatLastN: 64 }));
  const shorter = ids({ presencePenalty: 9, repeatLastN: 63 });
  assert(ids({ presencePenalty: 9 }).join() !== shorter.join());
});

Deno.test("Sampler never chooses NaN or -Infinity while there is another id", () => {
  const logits = Float32Array.of(NaN, -Infinity, -80, NaN, -90, -Infinity);
  for (const options of [...STEPS, { temperature: 0 }]) {
    const sampler = new LogitsSampler({ ...PLAIN, ...options }, 6);
    for (const id of drawIds(sampler, logits, 50)) assert(id === 2 || id === 4, `${id}`);
  }
});

Deno.test("Sampler chooses among the infinite when there are infinite logits", () => {
  const logits = Float32Array.of(5, Infinity, 9, Infinity, NaN);
  for (const options of [...STEPS, { temperature: Infinity }]) {
    const ids = drawIds(new LogitsSampler({ ...PLAIN, ...options }, 5), logits, 50);
    for (const id of ids) assert(id === 1 || id === 3, `${JSON.stringify(options)} gave ${id}`);
  }
  const both = drawIds(new LogitsSampler(PLAIN, 5), logits, 50);
  assertEquals(new Set(both).size, 2);
});

Deno.test("Sampler falls back to the first id that is not NaN when nothing is left", () => {
  for (const options of [...STEPS, { temperature: 0 }]) {
    const sample = (...logits: number[]) =>
      new LogitsSampler({ ...PLAIN, ...options }, logits.length).sample(Float32Array.from(logits));
    assertEquals(sample(-Infinity, -Infinity), 0);
    assertEquals(sample(NaN, NaN, -Infinity, -Infinity), 2);
    assertEquals(sample(NaN, NaN), 0);
    assertEquals(sample(7), 0);
  }
});

Deno.test("Sampler obeys a bias that forbids all ids but one, or forces one", () => {
  const forbidden = new Map([0, 1, 3, 4].map((id) => [id, -Infinity]));
  const forced = new Map([[2, 1e6]]);
  for (const logitBias of [forbidden, forced, new Map([[2, Infinity]])]) {
    for (const options of STEPS) {
      const sampler = new LogitsSampler({ ...PLAIN, ...options, logitBias }, 5);
      assertEquals(new Set(drawIds(sampler, LOGITS, 20)), new Set([2]));
    }
  }
});

Deno.test("Sampler overlooks biases of ids outside the vocabulary", () => {
  const logitBias = new Map([[-1, 100], [5, 100], [1.5, 100], [NaN, 100]]);
  assertFrequencies({ logitBias }, PROBABILITIES);
});

Deno.test("Sampler narrows equal logits to the first ids", () => {
  const logits = new Float32Array(1000).fill(2.5);
  const ids = drawIds(new LogitsSampler({ ...PLAIN, topK: 7 }, 1000), logits, 300);
  assertEquals(new Set(ids), new Set([0, 1, 2, 3, 4, 5, 6]));
  const half = drawIds(new LogitsSampler({ ...PLAIN, topP: 0.0095 }, 1000), logits, 500);
  assertEquals(new Set(half), new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
});

Deno.test("Sampler survives senseless options and still gives ids of the vocabulary", () => {
  const logits = randomLogits(50, 2);
  const senseless = [NaN, -1, -Infinity, Infinity, 1e308, -0];
  const names = ["temperature", "topK", "topP", "minP", "typicalP", "repeatPenalty"];
  const others = ["repeatLastN", "frequencyPenalty", "presencePenalty", "seed"];
  for (const name of [...names, ...others]) {
    for (const value of senseless) {
      const sampler = new LogitsSampler({ seed: 1, [name]: value }, 50);
      for (const id of drawIds(sampler, logits, 20)) {
        assert(Number.isInteger(id) && id >= 0 && id < 50, `${name} ${value} gave ${id}`);
      }
    }
  }
});

Deno.test("Sampler refuses ids outside the vocabulary", () => {
  const sampler = new LogitsSampler({}, 5);
  assertThrows(() => sampler.accept(5), Error, "no id 5");
  assertThrows(() => sampler.accept(-1), Error, "no id -1");
});

/** Every way of narrowing the choice, each alone, and the defaults. */
const STEPS: readonly SamplingOptions[] = [
  {},
  { topK: 1 },
  { topK: 3 },
  { topP: 0 },
  { topP: 0.5 },
  { minP: 0.5 },
  { typicalP: 0.5 },
  { repeatPenalty: 1.5 },
  { temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05 },
];

/** Draws and accepts. */
function drawIds(sampler: LogitsSampler, logits: Float32Array, count: number): number[] {
  return Array.from({ length: count }, () => {
    const id = sampler.sample(logits);
    sampler.accept(id);
    return id;
  });
}

function randomLogits(vocabSize: number, seed: number, deviation = 3): Float32Array {
  const rng = new Rng(seed);
  return Float32Array.from({ length: vocabSize }, () => deviation * rng.normal());
}

/**
 * Draws from LOGITS many times and compares with `expected` (any scale): Pearson's chi-square must
 * stay below a bound that a right sampler exceeds once in 10,000 seeds; the seed is fixed. What is
 * expected never must never come.
 */
function assertFrequencies(
  options: SamplingOptions,
  expected: readonly number[],
  accepted: readonly number[] = [],
): void {
  const draws = 20_000;
  const sampler = new LogitsSampler({ ...PLAIN, ...options }, expected.length);
  for (const id of accepted) sampler.accept(id);
  const counts = expected.map(() => 0);
  for (let i = 0; i < draws; i++) counts[sampler.sample(LOGITS)]++;
  const total = expected.reduce((sum, value) => sum + value, 0);
  const chiSquare = counts.reduce((sum, count, id) => {
    const mean = draws * expected[id] / total;
    return sum + (mean === 0 ? count * Infinity || 0 : (count - mean) ** 2 / mean);
  }, 0);
  assertLess(chiSquare, 23.5, `${JSON.stringify(options)} gave ${counts}`); // 4 degrees of freedom
}
