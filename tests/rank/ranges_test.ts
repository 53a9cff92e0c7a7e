/** Ranges of rows that are picked from several places. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { eachRange, nearRanges, shareRanges, shiftAll } from "../../src/rank/plan/ranges.ts";

const NUMBERS = [3, 4, 5, 9, 11, 12, 400];
const RANGES = [[3, 6], [9, 10], [11, 13], [400, 401]].map(([start, end]) => ({ start, end }));

Deno.test("shareRanges() has each number once, in as few ranges as they are", () => {
  assertEquals([...eachRange(shareRanges(Uint32Array.from(NUMBERS)))], RANGES);
  assertEquals([...eachRange(shareRanges(new Uint32Array()))], []);
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(60)), (some) => {
      const numbers = Uint32Array.from(some).sort();
      const ranges = [...eachRange(shareRanges(numbers))];
      const found = ranges.flatMap(({ start, end }) =>
        Array.from({ length: end - start }, (_, i) => start + i)
      );
      assertEquals(found, [...numbers]);
      ranges.forEach(({ start }, i) => assertEquals(i > 0 && ranges[i - 1].end === start, false));
    }),
    { seed: 1, numRuns: 200 },
  );
});

Deno.test("shiftAll() moves lists, and what threads share, as often as it is asked", () => {
  const shared = shareRanges(Uint32Array.from(NUMBERS));
  const moved = RANGES.map(({ start, end }) => ({ start: start + 7, end: end + 7 }));
  assertEquals([...eachRange(shiftAll(RANGES, 7))], moved);
  assertEquals([...eachRange(shiftAll(shiftAll(shared, 5), 2))], moved);
  assertEquals([...eachRange(shared)], RANGES);
});

Deno.test("nearRanges() reads over small gaps, never too much at once, in any order", () => {
  const startsOf = (by: { most: number; gap: number }, of = RANGES) =>
    [...nearRanges(of, by)].map((near) => near.map(({ start }) => start));
  assertEquals(startsOf({ most: 100, gap: 3 }), [[3, 9, 11], [400]]);
  assertEquals(startsOf({ most: 100, gap: 2 }), [[3], [9, 11], [400]]);
  assertEquals(startsOf({ most: 9, gap: 3 }), [[3, 9], [11], [400]]);
  assertEquals(startsOf({ most: 10, gap: 3 }), [[3, 9, 11], [400]]);
  assertEquals(startsOf({ most: 1, gap: 3 }), [[3], [9], [11], [400]]);
  assertEquals(startsOf({ most: 999, gap: 999 }, RANGES.toReversed()), [[400], [11], [9], [3]]);
  assertEquals(startsOf({ most: 999, gap: 999 }, []), []);
});
