import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Merger } from "../../src/tokenizer/merger.ts";
import { PairTable } from "../../src/tokenizer/pair_table.ts";
import { fuzzRuns } from "../support/fuzz.ts";

Deno.test("merge() does what searching the best pair again and again does", () => {
  const symbol = fc.integer({ min: 0, max: 5 });
  const pair = fc.record({ left: symbol, right: symbol, rank: symbol, merged: symbol });
  const word = fc.array(fc.oneof(symbol, fc.constant(-1)), { maxLength: 60 });
  fc.assert(
    fc.property(fc.array(pair), word, (added, word) => {
      const pairs = new PairTable(1);
      for (const each of added) pairs.add(each);
      const symbols = Int32Array.from(word);
      const count = new Merger(pairs).merge(symbols, word.length);
      assertEquals([...symbols.subarray(0, count)], naive(word, pairs));
    }),
    fuzzRuns(100),
  );
});

Deno.test("merge() leaves nothing behind from one word to the next", () => {
  const pairs = new PairTable(1);
  pairs.add({ left: 0, right: 0, rank: 0, merged: 1 });
  const merger = new Merger(pairs);
  for (const length of [200_000, 3, 1, 0, 70_000]) {
    const symbols = new Int32Array(length);
    assertEquals(merger.merge(symbols, length), Math.ceil(length / 2));
  }
});

function naive(word: readonly number[], pairs: PairTable): number[] {
  const symbols = [...word];
  for (;;) {
    let best = -1;
    let bestRank = Infinity;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const at = pairs.find(symbols[i], symbols[i + 1]);
      if (at < 0 || pairs.rankAt(at) >= bestRank) continue;
      best = i;
      bestRank = pairs.rankAt(at);
    }
    if (best < 0) return symbols;
    const at = pairs.find(symbols[best], symbols[best + 1]);
    symbols.splice(best, 2, pairs.mergedAt(at));
  }
}
