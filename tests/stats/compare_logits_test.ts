import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { LogitsComparer } from "../../src/stats/compare_logits.ts";

Deno.test("LogitsComparer says what can be computed by hand", () => {
  const comparer = new LogitsComparer();
  // p = (3/4, 1/4), q = (1/2, 1/2); then the same twice, shifted, with the other token best.
  comparer.add(logs(3, 1), logs(1, 1), 1);
  comparer.add(logs(1, 4), logs(10, 40), null);
  const kl = 0.75 * Math.log(1.5) + 0.25 * Math.log(0.5);
  const { klMean, klMax, top1Agreement, pplFirst, pplSecond, ...rest } = comparer.result();
  assertAlmostEquals(klMean, kl / 2, 1e-6);
  assertAlmostEquals(klMax, kl, 1e-6);
  assertEquals(top1Agreement, 1);
  assertAlmostEquals(pplFirst, 4, 1e-5);
  assertAlmostEquals(pplSecond, 2, 1e-5);
  assertEquals(rest, { positions: 2, tokens: 1 });
});

Deno.test("LogitsComparer tells different best tokens, and never overflows", () => {
  const comparer = new LogitsComparer();
  comparer.add(new Float32Array([1000, -1000]), new Float32Array([-1000, 1000]), 0);
  const { klMean, top1Agreement, pplFirst } = comparer.result();
  assertEquals([klMean, top1Agreement, pplFirst], [2000, 0, 1]);
  const same = new LogitsComparer();
  const logits = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i) * 30);
  same.add(logits, logits.slice(), 5);
  assert(same.result().klMean === 0 && same.result().klMax <= 1e-12);
});

function logs(...weights: number[]): Float32Array {
  return Float32Array.from(weights, Math.log);
}
