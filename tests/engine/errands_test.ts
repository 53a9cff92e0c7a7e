import { assertEquals } from "@std/assert";
import { Errands } from "../../src/engine/errands.ts";

/** Pieces of 2 ms each, and how the errand ends. */
function errandsOf(pieces: number, failsAt = Infinity) {
  const clock = { ms: 0 };
  const errands = new Errands(() => clock.ms);
  const told: unknown[] = [];
  let did = 0;
  function* work(): Generator<void, string> {
    for (; did < pieces; did++) {
      clock.ms += 2;
      if (did === failsAt) throw new Error("broken");
      yield;
    }
    return "all";
  }
  errands.add(work(), { done: (r) => told.push(r), failed: (e) => told.push(String(e)) });
  return { errands, told, did: () => did };
}

Deno.test("Errands.advance() does a few pieces at a time, and tells of the end", () => {
  const { errands, told, did } = errandsOf(8);
  const after = [1, 2, 3].map(() => (errands.advance(), did()));
  assertEquals(after, [2, 5, 8]);
  assertEquals([told, errands.isIdle], [["all"], true]);
  errands.advance();
});

Deno.test("Errands.finish() does what is left, and one that fails is no other's business", () => {
  const { errands, told } = errandsOf(8, 5);
  errands.advance();
  errands.add([].values() as unknown as Generator<void, undefined>, {
    done: () => told.push("second"),
    failed: () => {},
  });
  errands.finish();
  assertEquals([told, errands.isIdle], [["Error: broken", "second"], true]);
});

Deno.test("Errands.failAll() tells all who wait", () => {
  const { errands, told } = errandsOf(8);
  errands.advance();
  errands.failAll(new Error("gone"));
  assertEquals([told, errands.isIdle], [["Error: gone"], true]);
});
