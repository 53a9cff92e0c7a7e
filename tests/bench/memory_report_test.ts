import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  describeEnd,
  formatMemoryReport,
  type MemoryMeasurement,
  memoryTable,
} from "./memory_report.ts";

function fakeRun(changes: Partial<MemoryMeasurement>): MemoryMeasurement {
  return {
    round: 1,
    name: "ours",
    limitBytes: 2 ** 31,
    prefillTps: null,
    decodeTps: 4,
    idsHash: null,
    peakBytes: 2 ** 30,
    anonymousPeakBytes: 2 ** 20,
    limitHits: 0,
    oomKills: 0,
    diskReadBytes: 3 * 2 ** 20,
    wallSeconds: 10,
    exitCode: 0,
    timedOut: false,
    ...changes,
  };
}

Deno.test("memoryTable() holds the first command against the others, round by round", () => {
  const peer = { name: "peer", wallSeconds: 30, limitHits: 50 };
  const { title, rows } = memoryTable([
    fakeRun({ prefillTps: 20.25 }),
    fakeRun({ ...peer, decodeTps: 0.25 }),
    fakeRun({ ...peer, round: 2, decodeTps: 0.5, peakBytes: 2 ** 31 }),
    fakeRun({ round: 2, decodeTps: 6 }),
  ]);
  assertEquals(title, "Under a limit of 2.00 GiB, median (min–max) of 2 interleaved rounds");
  assertEquals(rows, [
    ["ours", "20.3", "5.00 (4.00–6.00)", "", "10.0", "1.00 GiB", "1.0 MiB", "3.0 MiB"]
      .concat("0 times", "well"),
    ["peer", "–", "0.38 (0.25–0.50)", "14.00 (12.00–16.00)", "30.0", "2.00 GiB", "1.0 MiB"]
      .concat("3.0 MiB", "50 times", "well"),
  ]);
});

Deno.test("formatMemoryReport() shows commands that gave no speed, and why", () => {
  const text = formatMemoryReport([
    fakeRun({}),
    fakeRun({ name: "slow", decodeTps: null, timedOut: true, exitCode: 137, peakBytes: null }),
  ]);
  assertStringIncludes(text, "one round");
  assertEquals(/^slow +– +– +– .* unknown .* too slow$/m.test(text), true, text);
});

Deno.test("describeEnd() tells a kill for memory from other failures", () => {
  const well = { timedOut: false, oomKills: 0, exitCode: 0 };
  assertEquals(describeEnd(well), "well");
  assertEquals(describeEnd({ ...well, exitCode: 3 }), "code 3");
  assertEquals(describeEnd({ ...well, oomKills: 1, exitCode: 137 }), "out of memory");
  assertEquals(describeEnd({ ...well, timedOut: true, exitCode: 137 }), "too slow");
});
