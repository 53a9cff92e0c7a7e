import { assertEquals } from "@std/assert";
import { soften } from "../../src/rank/tower/soften.ts";

Deno.test("soften() makes shares of rows however large their numbers, and zeros behind", () => {
  const rows = Float32Array.of(1000, 1000, NaN, -1000, -1000, 7, 0, Math.log(3), 7);
  soften(rows, 3, 3, 2);
  assertEquals([...rows].map((value) => Math.round(100 * value) / 100), [
    ...[0.5, 0.5, 0],
    ...[0.5, 0.5, 0],
    ...[0.25, 0.75, 0],
  ]);
});
