import { assert, assertEquals, assertLess, assertNotEquals } from "@std/assert";
import { randomSeed, SeededRandom } from "../../src/engine/sampler_random.ts";

function numbers(seed: number, count: number): number[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, () => random.next());
}

Deno.test("SeededRandom is uniform in [0, 1), and so are pairs of neighbours", () => {
  for (const seed of [0, 1, 2 ** 32, -1]) {
    const draws = numbers(seed, 64_000);
    assert(draws.every((each) => each >= 0 && each < 1));
    const counts = new Array(64).fill(0);
    for (let i = 0; i + 1 < draws.length; i++) {
      counts[Math.floor(draws[i] * 8) * 8 + Math.floor(draws[i + 1] * 8)]++;
    }
    // 63 degrees of freedom: a right generator exceeds 120 once in 50,000 seeds.
    const chiSquare = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    assertLess(chiSquare, 120, `seed ${seed}`);
  }
});

Deno.test("SeededRandom gives numbers of 53 bits", () => {
  const low = numbers(5, 1000).map((each) => each * 2 ** 53 % 2);
  const odd = low.filter((bit) => bit === 1).length;
  assert(odd > 400 && odd < 600, `${odd} of 1000 are odd`);
});

Deno.test("SeededRandom repeats its numbers for a seed, whatever number that is", () => {
  for (const seed of [0, 7, -7, 1.5, 2 ** 53, NaN, Infinity]) {
    assertEquals(numbers(seed, 5), numbers(seed, 5));
  }
  assertEquals(numbers(1.5, 5), numbers(1, 5));
});

Deno.test("SeededRandom tells seeds apart, also by their upper 32 bits and their sign", () => {
  const seeds = [0, 1, 2, 7, -7, 2 ** 32, 2 ** 32 + 7, 2 ** 40, 2 ** 52];
  assertEquals(new Set(seeds.map((seed) => numbers(seed, 1)[0])).size, seeds.length);
});

Deno.test("SeededRandom keeps giving the recorded numbers: users keep their seeds", () => {
  assertEquals(numbers(42, 3), [0.4570043778761681, 0.8712146870326464, 0.5333229148368233]);
});

Deno.test("randomSeed() gives an unsigned 32-bit integer, another one each time", () => {
  const seed = randomSeed();
  assert(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32);
  // Two in a row are equal once in 2^32: three equal ones are a fault.
  const others = [randomSeed(), randomSeed()];
  assertNotEquals(others, [seed, seed]);
});
