import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { Rng } from "../support/rng.ts";
import { rise, soakPromises, type SoakRecord, type SoakSample, soakTable } from "./soak_report.ts";
import { pickKind, SOAK_KINDS } from "./soak_traffic.ts";

const MIB = 2 ** 20;

/** 100 s of a server that is asked for one answer a second. */
function record(sampleAt: (seconds: number) => Partial<SoakSample>): SoakRecord {
  const times = Array.from({ length: 100 }, (_, seconds) => seconds);
  return {
    seconds: 100,
    samples: times.map((seconds) => ({
      ...{ seconds, residentBytes: 200 * MIB, heapBytes: 30 * MIB, handles: 40, threads: 12 },
      ...sampleAt(seconds),
    })),
    rests: [{ seconds: 99, kvRatio: 0, held: 0 }],
    outcomes: times.map((seconds) => ({ kind: "stream", ms: seconds, flaw: null, seconds })),
    exitCode: 0,
  };
}

function broken(of: SoakRecord): string[] {
  return soakPromises(of).filter(([, isKept]) => !isKept).map(([text]) => text.split(" (")[0]);
}

Deno.test("rise() is that of the least squares' line over its whole range", () => {
  const line = rise([[1, 5], [2, 7], [3, 6], [4, 10]]);
  // Slope 1.4 a step, three steps.
  assertAlmostEquals(line.rise, 4.2, 1e-12);
  assertEquals(line.mean, 7);
  assertEquals(rise([[3, 1], [3, 9]]), { rise: 0, mean: 5 });
});

// fault 59: `deno task bench:soak` says whether memory and handles are flat; this is its judge.
Deno.test("a soak's promises are broken by what grows after the warm-up, and by nothing before", () => {
  assertEquals(broken(record(() => ({}))), []);
  const warming = (seconds: number) => ({
    residentBytes: (seconds < 30 ? 100 + seconds : 200) * MIB,
  });
  assertEquals(broken(record(warming)), []);
  const leaking = (seconds: number) => ({ residentBytes: (200 + seconds / 5) * MIB });
  assertEquals(broken(record(leaking)), ["resident memory does not grow"]);
  const shrinking = (seconds: number) => ({ residentBytes: (200 - seconds / 5) * MIB });
  assertEquals(broken(record(shrinking)), []);
  // A sawtooth is flat.
  const sawing = (seconds: number) => ({ residentBytes: (200 + 20 * (seconds % 5)) * MIB });
  assertEquals(broken(record(sawing)), []);
  const handles = (seconds: number) => ({ handles: 40 + Math.floor(seconds / 10) });
  assertEquals(broken(record(handles)), ["handles do not grow"]);
  const threads = (seconds: number) => ({ threads: 12 + Math.floor(seconds / 20) });
  assertEquals(broken(record(threads)), ["threads do not grow"]);
});

Deno.test("a soak's promises are broken by a wrong answer, by what is held, and by a server that fell", () => {
  const good = record(() => ({}));
  const outcomes = [...good.outcomes, { kind: "bad", ms: 1, flaw: "200, not 400", seconds: 1 }];
  assertEquals(broken({ ...good, outcomes }), ["every answer was the right one"]);
  assertEquals(broken({ ...good, rests: [{ seconds: 1, kvRatio: 0.1, held: 1 }] }), [
    "no request held when nobody asks",
    "no key or value held when nobody asks",
  ]);
  assertEquals(broken({ ...good, exitCode: null }), ["the server ended in order"]);
});

Deno.test("a soak's table has a row for each tenth of it", () => {
  const { rows } = soakTable(record((seconds) => ({ handles: seconds })));
  assertEquals(rows.length, 10);
  assertEquals(rows[3], ["0.5–0.7", "10", "0", "34 / 39", "– / –", "200", "30", "34", "12"]);
});

Deno.test("soaking clients ask everything, often and seldom", () => {
  const rng = new Rng(1);
  const kinds = Array.from({ length: 1_000 }, () => pickKind(rng));
  assertEquals(new Set(kinds), new Set(SOAK_KINDS));
  const count = (name: string) => kinds.filter((kind) => kind === name).length;
  assert(count("stream") > 4 * count("other model"));
});
