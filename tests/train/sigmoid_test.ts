import { assertEquals, assertLess } from "@std/assert";
import { sigmoid } from "../../src/train/sigmoid.ts";

Deno.test("sigmoid() is the logistic function, up to 2e-7 of itself", () => {
  for (let x = -60; x <= 60; x += 0.0137) {
    const expected = 1 / (1 + Math.exp(-x));
    assertLess(Math.abs(sigmoid(x) - expected), 2e-7 * expected, `at ${x}`);
  }
  assertEquals(sigmoid(0), 0.5);
  assertEquals([sigmoid(1e9), sigmoid(Infinity)], [1, 1].map(() => sigmoid(60)));
  assertLess(sigmoid(-Infinity), 1e-25);
});
