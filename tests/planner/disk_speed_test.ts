import { assertAlmostEquals, assertEquals, assertGreater, assertLess } from "@std/assert";
import { measuredWorkers, mergeGapBytes, readSpeed } from "../../src/planner/disk_speed.ts";
import { DEFAULT_PROFILE } from "../../src/planner/machine_profile.ts";

const { disk } = DEFAULT_PROFILE;

Deno.test("readSpeed() gives what was measured, and lies between measured sizes", () => {
  assertAlmostEquals(readSpeed(disk, 8192, 8).readsPerS, 52_000, 1e-6);
  assertAlmostEquals(readSpeed(disk, 512, 8).readsPerS, 52_000, 1e-6);
  assertAlmostEquals(readSpeed(disk, 8192, 8).cpuSeconds, 11.5e-6, 1e-7);
  const middle = readSpeed(disk, 32768, 8).readsPerS;
  assertLess(middle, 52_000);
  assertGreater(middle, 17_000);
  assertLess(readSpeed(disk, 1 << 20, 8).readsPerS, 1.7e9 / (1 << 20));
});

Deno.test("readSpeed() of one worker is less than of three, never more than of sixteen", () => {
  const speeds = [1, 2, 3, 5, 8, 12, 16, 64].map((n) => readSpeed(disk, 5000, n).readsPerS);
  assertAlmostEquals(speeds[0], 31_000 / 3, 1e-6);
  speeds.slice(1).forEach((speed, i) => assertGreater(speed, speeds[i] - 1e-9));
  assertEquals(speeds[7], speeds[6]);
});

Deno.test("mergeGapBytes() is what could be read in the time of a read that is spared", () => {
  assertAlmostEquals(mergeGapBytes(disk), 15e-6 * 1.7e9, 1e-3);
});

Deno.test("measuredWorkers() are ascending and different", () => {
  assertEquals(measuredWorkers(disk), [3, 4, 8, 16]);
});

Deno.test("readSpeed() by the kernel is that of the most threads, for less of a core", () => {
  const [kernel, threads] = [0, 16].map((workers) => readSpeed(disk, 8192, workers));
  assertEquals(kernel.readsPerS, threads.readsPerS);
  assertAlmostEquals(kernel.cpuSeconds, 4e-6, 1e-9);
});
