import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { StepTimes } from "../../src/engine/step_times.ts";

/** Measured often enough to be believed. */
function known(rowsMax: number, ms: Readonly<Record<number, number>>): StepTimes {
  const times = new StepTimes(rowsMax);
  for (const [rows, each] of Object.entries(ms)) {
    for (let i = 0; i < 4; i++) times.add(Number(rows), each);
  }
  return times;
}

Deno.test("StepTimes.estimate() draws lines between sizes that were measured", () => {
  const nothing = new StepTimes(64);
  assertEquals([nothing.estimate(4), nothing.knows(4)], [0, false]);
  const long = known(64, { 64: 640 });
  assertEquals([long.estimate(4), long.knows(4), long.knows(64)], [640, false, true]);
  const both = known(64, { 1: 10, 64: 640 });
  assertEquals([1, 8, 64].map((rows) => both.estimate(rows)), [10, 80, 640]);
  assert(both.knows(4));
  const more = known(64, { 1: 10, 4: 20, 64: 640 });
  assertEquals([more.estimate(4), more.estimate(34)], [20, 330]);
});

Deno.test("StepTimes.estimate() grows with the rows beyond what was measured", () => {
  assertEquals(known(16, { 2: 10 }).estimate(8), 40);
});

Deno.test("StepTimes.estimate() is a time, too, of more rows than a step may have", () => {
  assertEquals(known(4, { 1: 10, 4: 40 }).estimate(9), 40);
  assertEquals(known(4, { 1: 10 }).estimate(9), 40);
});

Deno.test("StepTimes.estimate() believes a size's first slow steps only when there are several", () => {
  const times = known(64, { 1: 10, 64: 640 });
  times.add(8, 900);
  assertEquals(times.estimate(8), 80);
  for (let i = 0; i < 3; i++) times.add(8, 300);
  assertEquals(times.estimate(8), 300);
});

Deno.test("StepTimes.add() takes the best of the first steps", () => {
  const times = new StepTimes(4);
  times.add(1, 1000);
  assert(!times.knows(1));
  times.add(1, 12);
  times.add(1, 30);
  assertEquals([times.estimate(1), times.knows(1)], [12, true]);
});

Deno.test("StepTimes.add() follows changes, and hardly a single slow step", () => {
  const times = known(4, { 1: 10 });
  times.add(1, 1000);
  assert(times.estimate(1) < 12, "somebody else had the machine");
  for (let i = 0; i < 60; i++) times.add(1, 30);
  assertAlmostEquals(times.estimate(1), 30, 0.1);
});
