/** How states of lightning attention fade. */
import { assertAlmostEquals, assertEquals } from "@std/assert";
import { lightningDecays } from "../../src/model/lightning.ts";

Deno.test("lightningDecays() are those of MiniMax 01: by head, and from layer to layer less", () => {
  const [first, middle, last] = [0, 40, 79].map((layer) => lightningDecays(64, layer, 80));
  assertEquals([first.length, middle.length, last.length], [64, 64, 64]);
  assertAlmostEquals(first[0], -(2 ** -0.125) * 1.00001, 1e-15);
  assertAlmostEquals(first[63], -(2 ** -8) * 1.00001, 1e-15);
  assertAlmostEquals(middle[7], -0.5 * (39 / 79 + 1e-5), 1e-15);
  assertAlmostEquals(last[7], -0.5e-5, 1e-15);
});

Deno.test("lightningDecays() of heads that are no power of two are evenly spread, too", () => {
  const [layer] = [lightningDecays(6, 0, 2)];
  layer.forEach((decay, head) =>
    assertAlmostEquals(decay, -1.00001 * 2 ** (-8 * (head + 1) / 6), 1e-15)
  );
});
