import { assertEquals, assertRejects } from "@std/assert";
import { mapInTurns } from "../../src/base/turns.ts";

function spin(ms: number): void {
  for (const startMs = performance.now(); performance.now() - startMs < ms;);
}

Deno.test("mapInTurns() makes one of each, in order, and lets others do something meanwhile", async () => {
  let turns = 0;
  setTimeout(() => turns++, 0);
  const made = await mapInTurns([1, 2], undefined, (item) => {
    spin(55);
    return [item, turns];
  });
  assertEquals(made, [[1, 0], [2, 1]]);
});

Deno.test("mapInTurns() ends when nobody wants it any more", async () => {
  const gone = AbortSignal.abort(new Error("gone"));
  let count = 0;
  const make = () => {
    count++;
    spin(55);
  };
  await assertRejects(() => mapInTurns([1, 2, 3], gone, make), Error, "gone");
  assertEquals(count, 1);
});
