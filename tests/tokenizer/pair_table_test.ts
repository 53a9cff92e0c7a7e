import { assertEquals } from "@std/assert";
import { PairTable } from "../../src/tokenizer/pair_table.ts";
import { Rng } from "../support/rng.ts";

Deno.test("PairTable finds all pairs it was given, more than expected, and no others", () => {
  const rng = new Rng(1);
  const pairs = new PairTable(0);
  const expected = new Map<string, number>();
  for (let rank = 0; rank < 5000; rank++) {
    const pair = { left: rng.int(200), right: rng.int(200), rank, merged: 7 * rank };
    const key = `${pair.left} ${pair.right}`;
    if (!expected.has(key)) expected.set(key, rank);
    pairs.add(pair);
  }
  for (let left = -1; left < 200; left++) {
    for (let right = -1; right < 200; right++) {
      const at = pairs.find(left, right);
      const rank = expected.get(`${left} ${right}`);
      assertEquals(at < 0 ? undefined : pairs.rankAt(at), rank);
      if (at >= 0) assertEquals(pairs.mergedAt(at), 7 * rank!);
    }
  }
});
