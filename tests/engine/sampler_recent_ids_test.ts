import { assertEquals } from "@std/assert";
import { RecentIds } from "../../src/engine/sampler_recent_ids.ts";
import { Rng } from "../support/rng.ts";

function contents(recent: RecentIds): Map<number, number> {
  const ids = Array.from({ length: recent.distinct }, (_, index) => recent.idAt(index));
  return new Map(ids.sort((a, b) => a - b).map((id) => [id, recent.countOf(id)]));
}

function count(ids: number[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const id of ids.toSorted((a, b) => a - b)) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

for (const window of [1, 2, 5, 64, -1]) {
  Deno.test(`RecentIds remembers the last ids of a window of ${window}`, () => {
    const rng = new Rng(window + 2);
    const recent = new RecentIds(9, window);
    const added: number[] = [];
    assertEquals(contents(recent), new Map());
    for (let i = 0; i < 300; i++) {
      const id = rng.int(9);
      recent.add(id);
      added.push(id);
      assertEquals(contents(recent), count(window < 0 ? added : added.slice(-window)));
    }
  });
}

Deno.test("RecentIds takes no memory for a window beyond all reason", () => {
  const recent = new RecentIds(4, 2 ** 50);
  recent.add(3);
  assertEquals(contents(recent), new Map([[3, 1]]));
});
