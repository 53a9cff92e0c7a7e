import { assertEquals, assertRejects } from "@std/assert";
import { appendSteps, inTurns, mapSteps, runSteps, type Steps } from "../../src/base/steps.ts";

/** Busy for so long, a step each. */
function* busy(...stepsMs: readonly number[]): Steps<number> {
  for (const ms of stepsMs) {
    for (const beginMs = performance.now(); performance.now() - beginMs < ms;);
    yield;
  }
  return stepsMs.length;
}

Deno.test("inTurns() lets others do something while it makes one of each, in order", async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  const made = await inTurns(mapSteps([25, 30], (ms) => busy(ms, 0)), undefined);
  clearInterval(timer);
  assertEquals([made, turns > 0], [[2, 2], true]);
});

Deno.test("inTurns() ends when nobody wants it any more", async () => {
  const gone = new AbortController();
  let isEnded = false;
  const work = function* (): Steps<void> {
    yield* busy(25);
    gone.abort(new Error("gone"));
    yield* busy(25, 25);
    isEnded = true;
  };
  await assertRejects(() => inTurns(work(), gone.signal), Error, "gone");
  assertEquals(isEnded, false);
});

Deno.test("many that work in turns go on one after another, with others between any two", async () => {
  const order: string[] = [];
  const note = function* (name: string): Steps<void> {
    for (let i = 0; i < 4; i++) {
      yield* busy(25);
      order.push(name);
    }
  };
  const timer = setInterval(() => order.push("-"), 0);
  await Promise.all([..."abc"].map((name) => inTurns(note(name), undefined)));
  clearInterval(timer);
  // All begin at once; from then on nobody waits for all of them.
  assertEquals(/[abc]{3}/.test(order.join("").slice(3)), false, order.join(""));
});

Deno.test("appendSteps() appends any number of items, and stops on the way", () => {
  const out = [1];
  let count = 0;
  const steps = appendSteps(Array(200_000).fill(2), out);
  while (!steps.next().done) count++;
  assertEquals([out.length, count], [200_001, 3]);
  assertEquals(runSteps(busy(0, 0)), 2);
});
