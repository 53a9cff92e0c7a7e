/** Ranges that share something out. */
import { assertEquals } from "@std/assert";
import type { Range } from "../../src/rank/plan/shard.ts";

/** The ranges follow one another from 0 to `total`. */
export function assertCovers(ranges: readonly Range[], total: number): void {
  let next = 0;
  for (const { start, end } of ranges) {
    if (start === end) continue;
    assertEquals(start, next);
    next = end;
  }
  assertEquals(next, total);
}
