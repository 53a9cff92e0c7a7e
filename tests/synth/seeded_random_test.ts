import { assert, assertAlmostEquals, assertEquals, assertNotEquals } from "@std/assert";
import { SeededRandom } from "../../src/synth/seeded_random.ts";

Deno.test("SeededRandom repeats with a seed and differs between seeds", () => {
  const draw = (seed: number) => [...new SeededRandom(seed).bytes(64)];
  assertEquals(draw(7), draw(7));
  assertNotEquals(draw(7), draw(8));
  assertNotEquals(draw(0), draw(1));
});

Deno.test("SeededRandom draws evenly: bytes, integers, normals", () => {
  const random = new SeededRandom(1);
  const bytes = random.bytes(1 << 18);
  const counts = new Uint32Array(256);
  for (const byte of bytes) counts[byte]++;
  // 1024 of each are expected, with a deviation of 32.
  assert(Math.min(...counts) > 1024 - 5 * 32 && Math.max(...counts) < 1024 + 5 * 32);
  const drawn = new Set(Array.from({ length: 200 }, () => random.below(6)));
  assertEquals([...drawn].sort(), [0, 1, 2, 3, 4, 5]);
  const normals = Array.from({ length: 100_000 }, () => random.normal());
  const mean = (f: (x: number) => number) => normals.reduce((sum, x) => sum + f(x), 0) / 1e5;
  assertAlmostEquals(mean((x) => x), 0, 0.02);
  assertAlmostEquals(mean((x) => x * x), 1, 0.03);
  assertAlmostEquals(mean((x) => x ** 4), 3, 0.2);
});
