/** Symbolic sizes against plain arithmetic, and what canonical form promises. */
import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { compileExpr } from "../../src/shapes/compile.ts";
import { B, constant, type Expr, N, P, S } from "../../src/shapes/expr.ts";
import { fuzzRuns } from "../support/fuzz.ts";
import { symbolValues, type Twin, twins } from "./random_expr.ts";

/** Trees whose values are far from integers that floats cannot hold. */
function isSmall({ value }: Twin): boolean {
  return Math.abs(value({ N: 600, P: 5000, B: 4 })) < 2 ** 40;
}

Deno.test("Expr has the value that its parts have by plain arithmetic", () => {
  fc.assert(
    fc.property(twins, symbolValues, (twin, at) => {
      if (!isSmall(twin)) return;
      assertEquals(twin.e.evaluate(at), twin.value(at), `${twin.e}`);
      assertEquals(compileExpr(twin.e).evaluate(at.N, at.P, at.B), twin.value(at), `${twin.e}`);
    }),
    fuzzRuns(3000),
  );
});

Deno.test("Expr is canonical: what is equal by the laws of arithmetic has the same key", () => {
  const k = fc.integer({ min: 1, max: 12 });
  fc.assert(
    fc.property(twins, twins, twins, k, k, (x, y, z, j, k) => {
      const [a, b, c] = [x.e, y.e, z.e];
      const same: [Expr, Expr][] = [
        [a.plus(b), b.plus(a)],
        [a.times(b), b.times(a)],
        [a.plus(b).plus(c), a.plus(b.plus(c))],
        [a.times(b).times(c), a.times(b.times(c))],
        [a.times(b.plus(c)), a.times(b).plus(a.times(c))],
        [a.minus(a), constant(0)],
        [a.max(b), b.max(a)],
        [a.plus(c).max(b.plus(c)), a.max(b).plus(c)],
        [a.times(k).max(b.times(k)), a.max(b).times(k)],
        [a.plus(b.times(k)).ceilDiv(k), a.ceilDiv(k).plus(b)],
        [a.times(j).ceilDiv(j * k), a.ceilDiv(k)],
        [a.alignUp(k).alignUp(k), a.alignUp(k)],
      ];
      same.forEach(([left, right], law) => assertEquals(left.key, right.key, `law ${law}`));
    }),
    fuzzRuns(500),
  );
});

Deno.test("Expr.dividedBy() undoes times(), and is null where something would be left", () => {
  fc.assert(
    fc.property(twins, twins, (x, y) => {
      if (y.e.terms.length === 0) return;
      const quotient = x.e.times(y.e).dividedBy(y.e);
      assertEquals(quotient?.key, x.e.key);
      if (y.e.constant === null) assertEquals(x.e.times(y.e).plus(1).dividedBy(y.e), null);
    }),
    fuzzRuns(500),
  );
  assertEquals(N.times(6).dividedBy(4), null);
  assertEquals(N.times(S).dividedBy(N)?.key, S.key);
  assertEquals(N.times(12).dividedBy(3)?.key, N.times(4).key);
  assertThrows(() => N.dividedBy(0), Error, "zero");
});

Deno.test("Expr prints what it is", () => {
  assertEquals(`${N.times(8).plus(3).plus(S)}`, "3 + 9·N + P");
  assertEquals(`${S.ceilDiv(64)}`, "⌈(N + P)/64⌉");
  assertEquals(`${N.max(B)}`, `${B.max(N)}`);
  assertEquals(constant(5).constant, 5);
  assertEquals(P.constant, null);
});

Deno.test("Expr refuses coefficients that floats cannot hold", () => {
  assertThrows(() => N.times(2 ** 40).times(2 ** 20), Error, "2^53");
});
