import { assertEquals } from "@std/assert";
import { summariseContexts } from "./contexts.ts";
import { fakeSpeed, fakeTask } from "./fake_results.ts";

const at = (promptTokens: number) => ({ task: fakeTask({ kind: "context", promptTokens }) });

Deno.test("summariseContexts() holds prompts against the one of 500, answers against the shortest", () => {
  const [short, middle, long] = summariseContexts([
    fakeSpeed(["ganglion", 1, 200, 10], at(4000)),
    fakeSpeed(["ganglion", 1, 400, 20], at(500)),
    fakeSpeed(["ganglion", 1, 1000, 40], at(100)),
  ]);
  assertEquals([short, middle, long].map((each) => each.contextTokens), [100, 500, 4000]);
  assertEquals(long.promptBaseTokens, 500);
  assertEquals([short, middle, long].map((each) => each.promptMsPerToken.median), [1, 2.5, 5]);
  assertEquals([short, middle, long].map((each) => each.promptRatio?.median), [0.4, 1, 2]);
  assertEquals([short, middle, long].map((each) => each.decodeRatio?.median), [1, 0.5, 0.25]);
});

Deno.test("summariseContexts() tells what the added tokens cost, each", () => {
  const [short, long] = summariseContexts([
    fakeSpeed(["ganglion", 1, 1000, 1], at(100)), // 100 ms
    fakeSpeed(["ganglion", 1, 500, 1], at(200)), // 400 ms
    fakeSpeed(["ganglion", 2, 1000, 1], at(100)),
    fakeSpeed(["ganglion", 2, 1000, 1], at(200)), // 200 ms
  ]);
  assertEquals(short.addedMsPerToken, null);
  assertEquals(long.addedMsPerToken, { min: 1, median: 2, max: 3 });
});

Deno.test("summariseContexts() leaves other tasks alone, and survives a missing round", () => {
  assertEquals(summariseContexts([fakeSpeed(["ganglion", 1, 1, 1])]), []);
  const [short, long] = summariseContexts([
    fakeSpeed(["ganglion", 1, 10, 1], at(100)),
    fakeSpeed(["ganglion", 2, 10, 1], at(400)),
  ]);
  assertEquals([short.promptRatio, long.decodeRatio, long.addedMsPerToken], [null, null, null]);
});
