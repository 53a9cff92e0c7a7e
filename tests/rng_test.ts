import { assertEquals, assertNotEquals } from "@std/assert";
import { Rng } from "./support/rng.ts";

Deno.test("Rng.normals() draws what normal() draws, however much was known of a seed", () => {
  for (const seed of [5, 0, -7, 2 ** 31]) {
    // The second time all is known, the third time nothing that begins where it is asked for.
    for (const ahead of [0, 0, 1]) {
      const [one, many] = [new Rng(seed), new Rng(seed)];
      for (let i = 0; i < ahead; i++) assertEquals(one.u32(), many.u32());
      for (const count of [3, 1, 40, 7]) {
        const wanted = Float32Array.from({ length: count }, () => 1 + 2 * one.normal());
        assertEquals(many.normals(count, (normal) => 1 + 2 * normal), wanted);
        if (count === 1) assertEquals(many.int(1000), one.int(1000));
      }
      assertEquals(many.u32(), one.u32());
    }
  }
  const [a, b] = [1, 2].map((seed) => new Rng(seed).normals(4, (normal) => normal));
  assertNotEquals(a, b);
});

Deno.test("Rng.normals() draws on where more was drawn than is kept of a seed", () => {
  const [one, many] = [new Rng(9), new Rng(9)];
  const count = 2 ** 21 + 5;
  const all = many.normals(count, (normal) => normal);
  for (let i = 0; i < count; i++) one.normal();
  assertEquals(all.length, count);
  assertEquals(many.normals(3, (normal) => normal), one.normals(3, (normal) => normal));
});
