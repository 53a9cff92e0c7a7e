import { assertAlmostEquals, assertEquals } from "@std/assert";
import { BatchLabels } from "../../src/train/loss.ts";
import type { BlockSamples } from "../../src/train/mod.ts";
import { ScoreHistogram } from "../../src/train/score_histogram.ts";

/** Two samples of four neurons: 0 and 1 fire in the first, 1 and 3 in the second. */
const SAMPLES: BlockSamples = {
  inputLength: 1,
  neuronCount: 4,
  count: 2,
  inputs: new Uint16Array(new SharedArrayBuffer(4)),
  fired: new Uint8Array(new SharedArrayBuffer(2)),
  inputRows: new Int32Array(new SharedArrayBuffer(8)),
  firedRows: new Int32Array(new SharedArrayBuffer(8)),
};
SAMPLES.fired.set([0b0011, 0b1010]);
SAMPLES.firedRows.set([0, 1]);

function histogramOf(scores: readonly number[], hiddenMeans: readonly number[]): ScoreHistogram {
  const labels = new BatchLabels(2);
  labels.select(SAMPLES, Int32Array.of(0, 1), { first: 0, count: 2 });
  const histogram = new ScoreHistogram();
  histogram.add(Float32Array.from(scores), { first: 0, count: 4 }, {
    labels,
    hiddenMeans: Float32Array.from(hiddenMeans),
    stride: 2,
    samples: 2,
  });
  return histogram;
}

Deno.test("quality() counts what is predicted, what fires and what is both", () => {
  // Predicted: neurons 0, 2 in the first sample, 1 in the second.
  const histogram = histogramOf([1, -1, -1, 2, 3, -2, -4, -0.5], [1, 1]);
  const { recall, precision, predictedShare, firedShare } = histogram.quality(0);
  assertEquals([recall, predictedShare, firedShare], [2 / 4, 3 / 8, 4 / 8]);
  assertAlmostEquals(precision, 2 / 3);
  // Of two scores on both sides of 0, as near to it as is told apart, one is predicted.
  const near = histogramOf([0.005, -0.005, -9, -9, -9, -9, -9, -9], [1, 1]);
  assertEquals(near.quality(0).predictedShare, 1 / 8);
});

Deno.test("shiftFor() finds the smallest shift that reaches the recall", () => {
  const histogram = histogramOf([1, -1, -1, 2, 3, -2, -4, -0.5], [1, 1]);
  const shift = histogram.shiftFor(0.75);
  assertAlmostEquals(shift, 0.5, 0.02);
  assertEquals(histogram.quality(shift).recall, 0.75);
  assertEquals(histogram.quality(histogram.shiftFor(1)).recall, 1);
});

Deno.test("shiftFor() counts in means of the hidden layer", () => {
  // The second sample's neuron 3 lacks 0.5, and its hidden layer is 0.1: 5.
  const histogram = histogramOf([1, -1, 1, 2, 3, -2, -4, -0.5], [1, 0.1]);
  assertAlmostEquals(histogram.shiftFor(1), 5, 0.02);
});

Deno.test("no shift predicts a neuron while all hidden units are silent", () => {
  const histogram = histogramOf([-1, 0, -1, -1, -1, 0, -1, -1], [0, 0]);
  assertEquals(histogram.quality(histogram.shiftFor(1)).recall, 1);
  assertEquals(histogram.quality(31).recall, 0);
  assertEquals(histogram.quality(31).predictedShare, 2 / 8);
});
