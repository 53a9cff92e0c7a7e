/** Bounds of expressions against every value that symbols can have. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { isAlwaysAtMost, mostOf } from "../../src/shapes/bounds.ts";
import { B, constant, type Expr, type ExprLike, N, P, S } from "../../src/shapes/expr.ts";
import { admissible, BOUNDS, twins } from "./random_expr.ts";

const ALL = [...admissible(BOUNDS)];
/** A model's: a chunk of 512 tokens in a context of 32768. */
const LARGE = { tokensMax: 512, contextMax: 32768, batchMax: 1 };

Deno.test("isAlwaysAtMost() says yes only where no admissible value is a counterexample", () => {
  let proven = 0, trueAll = 0;
  fc.assert(
    fc.property(twins, twins, (a, b) => {
      const holds = ALL.every((at) => a.value(at) <= b.value(at));
      const isProven = isAlwaysAtMost(a.e, b.e, BOUNDS);
      if (isProven) assert(holds, `${a.e} <= ${b.e}`);
      if (holds) trueAll++;
      if (isProven) proven++;
    }),
    { numRuns: 1500, seed: 1 },
  );
  assert(proven > 0.95 * trueAll, `${proven} of ${trueAll} are proven`);
});

Deno.test("mostOf() encloses every value from both sides, and mostly is one", () => {
  let exact = 0, all = 0;
  fc.assert(
    fc.property(twins, ({ e, value }) => {
      const values = ALL.map(value);
      const [least, most] = [-mostOf(e.times(-1), BOUNDS), mostOf(e, BOUNDS)];
      assert(least <= Math.min(...values) && most >= Math.max(...values), `${e}`);
      all += 2;
      exact += Number(least === Math.min(...values)) + Number(most === Math.max(...values));
    }),
    { numRuns: 500, seed: 2 },
  );
  assert(exact > 0.9 * all, `${exact} of ${all} are exact`);
});

Deno.test("isAlwaysAtMost() proves what memory plans ask", () => {
  const yes: [ExprLike, ExprLike][] = [
    [N.times(4096), N.times(8192)],
    [N.times(4096), N.times(4096).alignUp(256)],
    [N.times(1000).alignUp(256), N.times(1024)],
    [N, 512],
    [S, 32768],
    [N.times(S), S.times(512)],
    [N, S],
    [constant(4), N.times(4)],
    [N.times(256), S.ceilDiv(64).times(64 * 256)],
    [N.times(4), N.times(4).max(P)],
    [N.times(P).plus(P), N.times(P).times(2)],
  ];
  for (const [a, b] of yes) assert(isAlwaysAtMost(a, b, LARGE), `${a} <= ${b}`);
  const no: [ExprLike, ExprLike][] = [
    [constant(5), N.times(4)],
    [N, 511],
    [S, N.plus(32766)],
    [N.times(2), S],
    [N.times(B), N.minus(1)],
    [N.times(1000).alignUp(256), N.times(1000)],
  ];
  for (const [a, b] of no) assert(!isAlwaysAtMost(a, b, LARGE), `${a} <= ${b}`);
});

Deno.test("mostOf() is exact for sizes of tensors", () => {
  const most = (e: Expr) => mostOf(e, LARGE);
  assertEquals(most(N.times(4096)), 512 * 4096);
  assertEquals(most(S.times(7)), 7 * 32768);
  assertEquals(most(N.times(S).times(32)), 512 * 32768 * 32);
  assertEquals(most(N.times(1000).alignUp(256)), Math.ceil(512000 / 256) * 256);
  assertEquals(most(S.ceilDiv(100).times(N)), 328 * 512);
  assertEquals(most(N.times(5).max(S)), 32768);
  assertEquals(-mostOf(S.times(3).plus(N).times(-1), LARGE), 4);
});
