import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { StepTimes } from "../../../src/engine/drafts/step_times.ts";

Deno.test("StepTimes.estimate() draws lines between sizes that were measured", () => {
  const times = new StepTimes(64);
  assertEquals([times.estimate(4), times.knows(4)], [0, false]);
  times.add(64, 640);
  assertEquals([times.estimate(4), times.knows(4)], [640, false], "no less is known");
  times.add(1, 10);
  assertEquals(times.estimate(1), 10);
  assertEquals(times.estimate(8), 10 + 7 * 10);
  assert(times.knows(4));
  times.add(4, 20);
  assertEquals(times.estimate(4), 20);
  assertAlmostEquals(times.estimate(34), 330);
});

Deno.test("StepTimes.estimate() grows with the rows beyond what was measured", () => {
  const times = new StepTimes(16);
  times.add(2, 10);
  assertEquals(times.estimate(8), 40);
});

Deno.test("StepTimes.add() follows changes, and hardly a single slow step", () => {
  const times = new StepTimes(4);
  times.add(1, 10);
  times.add(1, 1000);
  assert(times.estimate(1) < 12, "somebody else had the machine");
  for (let i = 0; i < 60; i++) times.add(1, 30);
  assertAlmostEquals(times.estimate(1), 30, 0.1);
  // What is measured first is bounded by what was expected between two others.
  times.add(4, 60);
  times.add(2, 600);
  assertAlmostEquals(times.estimate(2), 80, 1);
});
