import { assertEquals } from "@std/assert";
import { ratioOf, summarise, summariseLoads } from "./results.ts";
import { fakeLoad, fakeSpeed, fakeTask } from "./fake_results.ts";

Deno.test("summarise() takes medians of speeds and ratios of the same round", () => {
  const [{ engines: [ours, native] }] = summarise([
    fakeSpeed(["ganglion", 1, 100, 10]),
    fakeSpeed(["native", 1, 50, 10]),
    fakeSpeed(["native", 2, 200, 40]),
    fakeSpeed(["ganglion", 2, 100, 20]),
    fakeSpeed(["ganglion", 3, 300, 30]),
    fakeSpeed(["native", 3, 100, 30]),
  ], "ganglion");
  assertEquals(ours.prefillTps, { min: 100, median: 100, max: 300 });
  assertEquals(native.prefillTps, { min: 50, median: 100, max: 200 });
  assertEquals(native.prefillRatio, { min: 0.5, median: 2, max: 3 });
  assertEquals(native.decodeRatio, { min: 0.5, median: 1, max: 1 });
});

Deno.test("summarise() keeps models, threads and lengths apart, in their order", () => {
  const two = fakeTask({ threads: 2 });
  const summaries = summarise([
    fakeSpeed(["ganglion", 1, 1, 1]),
    fakeSpeed(["ganglion", 1, 2, 2], { task: two }),
    fakeSpeed(["ganglion", 2, 1, 1]),
  ], "ganglion");
  assertEquals(summaries.map(({ task }) => task.threads), [1, 2]);
  assertEquals(summaries.map(({ engines }) => engines[0].rounds), [2, 1]);
});

Deno.test("summarise() says whether all rounds gave the same ids", () => {
  const [{ engines }] = summarise([
    fakeSpeed(["ganglion", 1, 1, 1], { idsHash: "a" }),
    fakeSpeed(["ganglion", 2, 1, 1], { idsHash: "a" }),
    fakeSpeed(["other", 1, 1, 1], { idsHash: "a" }),
    fakeSpeed(["other", 2, 1, 1], { idsHash: "b" }),
  ], "ganglion");
  assertEquals(engines.map(({ idsHash, idsAgree }) => [idsHash, idsAgree]), [
    ["a", true],
    [null, false],
  ]);
});

Deno.test("summarise() tells the bytes that decoding reads where the roof is known", () => {
  const roof = { bytesPerToken: 500e6, readGbps: 20 };
  const [{ engines: [ours, other] }] = summarise([
    fakeSpeed(["ganglion", 1, 1, 30], { roof }),
    fakeSpeed(["other", 1, 1, 30]),
  ], "ganglion");
  assertEquals([ours.weightsGbps, ours.readGbps], [15, 20]);
  assertEquals([other.weightsGbps, other.readGbps], [null, null]);
});

Deno.test("ratioOf() leaves rounds out that one of the two misses", () => {
  const speed = (sample: { prefillTps: number }) => sample.prefillTps;
  const a = [fakeSpeed(["a", 1, 6, 1]), fakeSpeed(["a", 3, 9, 1])];
  assertEquals(
    ratioOf(a, [fakeSpeed(["b", 2, 1, 1]), fakeSpeed(["b", 3, 3, 1])], speed)?.median,
    3,
  );
  assertEquals(ratioOf(a, [fakeSpeed(["b", 2, 1, 1])], speed), null);
});

Deno.test("summariseLoads() holds loading against reading, round by round", () => {
  const [load] = summariseLoads([
    fakeLoad(1, { loadMs: 300, readMs: 100, fileBytes: 7 }),
    fakeLoad(2, { loadMs: 300, readMs: 300, fileBytes: 7 }),
  ]);
  assertEquals(load.ratio, { min: 1, median: 2, max: 3 });
  assertEquals([load.loadMs.median, load.readMs.median, load.fileBytes], [300, 200, 7]);
});

Deno.test("summariseLoads() tells of reading into fresh memory only if every round has it", () => {
  const full = fakeLoad(1, { loadMs: 300, readMs: 100, freshReadMs: 200, fileBytes: 7 });
  const [load] = summariseLoads([full, { ...full, round: 2 }]);
  assertEquals([load.freshReadMs?.median, load.freshRatio?.median], [200, 1.5]);
  const [old] = summariseLoads([full, fakeLoad(2, { loadMs: 300, readMs: 100, fileBytes: 7 })]);
  assertEquals([old.freshReadMs, old.freshRatio], [null, null]);
});
