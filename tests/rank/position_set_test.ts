/** A set of positions beside a sorted array. */
import { assertEquals } from "@std/assert";
import { PositionSet } from "../../src/rank/stream/position_set.ts";
import { Rng } from "../support/rng.ts";

Deno.test("PositionSet.take() gives what was added, in ascending order, and is empty then", () => {
  const rng = new Rng(7);
  for (const most of [1, 31, 32, 33, 700]) {
    const set = new PositionSet(most);
    const order = Uint32Array.from({ length: most }, (_, p) => (p * 7 + 3) % 1009);
    for (const share of [0, 0.05, 0.5, 1]) {
      const positions = [...order.keys()].filter(() => rng.float() < share);
      for (const position of [...positions].reverse()) set.add(position);
      const to = new Uint32Array(most + 2);
      assertEquals(set.take(order, to, 2), positions.length);
      assertEquals([...to.subarray(2, 2 + positions.length)], positions.map((p) => order[p]));
      assertEquals(set.take(order, to, 0), 0);
    }
  }
});
