import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import {
  activeFraction,
  emptyStats,
  hotFraction,
  layerCounts,
  measuredCost,
  thresholdsFor,
} from "../../src/stats/firing_stats.ts";
import {
  binStart,
  LOUDNESS_BINS,
  loudnessBin,
  loudnessQuantile,
} from "../../src/stats/loudness.ts";
import { Rng } from "../support/rng.ts";
import { someStats, SUBJECT } from "./stats_fixture.ts";

Deno.test("activeFraction() and hotFraction() read a layer's counts", () => {
  const stats = emptyStats({ ...SUBJECT, sparsity: null });
  stats.units["1"] = 10;
  layerCounts(stats, "1", 1).set([1, 9, 0, 1, 0]);
  assertEquals(activeFraction(stats, "1", 0), 0);
  assertAlmostEquals(activeFraction(stats, "1", 1), 11 / 50);
  // 9 of 11 firings are more than 80 %: one neuron of five is hot.
  assertEquals([hotFraction(stats, 0), hotFraction(stats, 1)], [0, 1 / 5]);
  layerCounts(stats, "1", 1).set([2, 8, 0, 1, 0]);
  assertEquals(hotFraction(stats, 1), 2 / 5);
});

Deno.test("loudnessBin() and binStart() agree, in order, over all of their range", () => {
  for (let bin = 0; bin < LOUDNESS_BINS; bin++) {
    const [start, end] = [binStart(bin), binStart(bin + 1)];
    assert(start < end);
    for (const sign of [1, -1]) assertEquals(loudnessBin(sign * (start + end) / 2), bin);
  }
  assertEquals([0, 1e-30, 300, 1e30, Infinity].map(loudnessBin), [
    ...[0, 0],
    ...[LOUDNESS_BINS - 1, LOUDNESS_BINS - 1, LOUDNESS_BINS - 1],
  ]);
});

Deno.test("loudnessQuantile() is within a bin of the sorted values' quantile", () => {
  const rng = new Rng(4);
  const values = Float32Array.from({ length: 20_000 }, () => Math.abs(rng.normal()) ** 3);
  const bins = new Float64Array(LOUDNESS_BINS);
  for (const value of values) bins[loudnessBin(value)]++;
  const sorted = values.toSorted();
  for (const share of [0.01, 0.1, 0.3, 0.5, 0.9, 0.99]) {
    const exact = sorted[Math.floor(share * values.length)];
    assertAlmostEquals(loudnessQuantile(bins, share), exact, exact * 0.02 + 1e-7);
  }
  assertEquals(loudnessQuantile(bins, 0), 0);
  assertEquals(loudnessQuantile(new Float64Array(LOUDNESS_BINS), 0.5), 0);
});

Deno.test("thresholdsFor() grows with the sparsity, and refuses neurons that are zero by themselves", () => {
  const stats = someStats();
  const thresholds = [0, 0.3, 0.5, 0.9].map((sparsity) => thresholdsFor(stats, sparsity));
  for (let layer = 0; layer < 2; layer++) {
    const own = thresholds.map((each) => each[layer]);
    assertEquals(own, own.toSorted((a, b) => a - b));
    assertEquals(own[0], 0);
    assert(own[3] > own[1]);
  }
  const relu = someStats({ sparsity: null, activation: "relu" });
  assertThrows(() => thresholdsFor(relu, 0.5), Error, "Cannot choose thresholds for relu neurons");
});

Deno.test("measuredCost() is the last one at that sparsity", () => {
  const stats = someStats();
  const cost = { pplDense: 3, tokens: 9 };
  stats.measured = [
    { ...cost, sparsity: 0.5, pplSparse: 4 },
    { ...cost, sparsity: 0.5, pplSparse: 5 },
    { ...cost, sparsity: 0.3, pplSparse: 3.1 },
  ];
  assertEquals(measuredCost(stats, 0.5)?.pplSparse, 5);
  assertEquals(measuredCost(stats, 0.4), null);
});
