/** The kernels' gradients beside those of a slow twin in f64, by finite differences. */
import { assert, assertEquals } from "@std/assert";
import { createArenaMemory } from "../../src/memory/arena.ts";
import { dequantize } from "../../src/model/mod.ts";
import { PredictorNetwork } from "../../src/train/network.ts";
import type { BlockSamples } from "../../src/train/mod.ts";
import { planTraining } from "../../src/train/training_plan.ts";
import { loadKernelModuleSync } from "../../wasm/mod.ts";
import { Rng } from "../support/rng.ts";
import { madeUpLayer } from "./made_up_layer.ts";

/** Neither a whole step of the kernels nor a whole chunk of neurons. */
const SHAPE = { inputLength: 24, rank: 96, neuronCount: 530 };
const BATCH = 16;
const NEGATIVE_WEIGHT = 0.3;
const module = loadKernelModuleSync();

function randomNetwork(samples: BlockSamples): PredictorNetwork {
  const plan = planTraining({ ...samples, rank: SHAPE.rank }, BATCH);
  const network = new PredictorNetwork(plan, module, createArenaMemory(plan.arena));
  const rng = new Rng(4);
  for (let k = 0; k < SHAPE.rank; k++) {
    for (let i = 0; i < SHAPE.inputLength; i++) {
      network.fc1[k * plan.inputStride + i] = 0.2 * rng.normal();
    }
  }
  for (let i = 0; i < network.fc2.length; i++) network.fc2[i] = 0.2 * rng.normal();
  for (let i = 0; i < SHAPE.inputLength; i++) network.inputScale[i] = 0.5 + rng.float();
  return network;
}

/** The loss of some samples, in f64, by its formula; weights may be changed by `nudge`. */
function slowLoss(
  network: PredictorNetwork,
  samples: BlockSamples,
  indices: readonly number[],
  nudge: { matrix: "fc1" | "fc2"; at: number; by: number } | null,
): number {
  const { inputLength, rank, neuronCount } = SHAPE;
  const weights = { fc1: Float64Array.from(network.fc1), fc2: Float64Array.from(network.fc2) };
  if (nudge) weights[nudge.matrix][nudge.at] += nudge.by;
  const { fc1, fc2 } = weights;
  let loss = 0;
  for (const index of indices) {
    const x = inputOf(samples, index).map((value, i) => value * network.inputScale[i]);
    const hidden = Float64Array.from({ length: rank }, (_, k) => {
      let sum = 0;
      for (let i = 0; i < inputLength; i++) {
        sum += fc1[k * network.plan.inputStride + i] * x[i];
      }
      return Math.max(0, sum);
    });
    for (let j = 0; j < neuronCount; j++) {
      let score = 0;
      for (let k = 0; k < rank; k++) score += fc2[j * rank + k] * hidden[k];
      loss += isFired(samples, index, j)
        ? Math.log1p(Math.exp(-score))
        : NEGATIVE_WEIGHT * Math.log1p(Math.exp(score));
    }
  }
  return loss / indices.length;
}

function inputOf(samples: BlockSamples, index: number): Float64Array {
  const { inputLength, inputs } = samples;
  const bits = inputs.slice(index * inputLength, (index + 1) * inputLength);
  return Float64Array.from(dequantize("F16", new Uint8Array(bits.buffer)));
}

function isFired({ fired, neuronCount }: BlockSamples, index: number, j: number): boolean {
  return (fired[index * Math.ceil(neuronCount / 8) + (j >> 3)] >> (j & 7) & 1) === 1;
}

const SAMPLES = madeUpLayer({ ...SHAPE, count: 40, usedDimensions: 6, threshold: 0.5 });

for (const count of [BATCH, 11]) {
  Deno.test(`backward() gives the gradients of the loss of ${count} samples`, () => {
    const network = randomNetwork(SAMPLES);
    const indices = Int32Array.from({ length: 20 }, (_, i) => 2 * i);
    // A larger batch before, whose rows must not be seen again.
    network.begin(SAMPLES, indices, { first: 0, count: BATCH });
    network.begin(SAMPLES, indices, { first: 3, count });
    const gradients = {
      fc1: new Float32Array(network.fc1.length),
      fc2: new Float32Array(network.fc2.length),
    };
    const strides = { fc1: network.plan.inputStride, fc2: SHAPE.rank };
    network.backward(NEGATIVE_WEIGHT, (matrix, firstRow, gradient) => {
      gradients[matrix].set(gradient, firstRow * strides[matrix]);
    });
    const used = [...indices.subarray(3, 3 + count)];
    const rng = new Rng(12);
    const by = 1e-4;
    for (let trial = 0; trial < 60; trial++) {
      const matrix = trial % 2 === 0 ? "fc1" : "fc2";
      const rows = matrix === "fc1" ? SHAPE.rank : SHAPE.neuronCount;
      const columns = matrix === "fc1" ? SHAPE.inputLength : SHAPE.rank;
      const at = rng.int(rows) * strides[matrix] + rng.int(columns);
      const above = slowLoss(network, SAMPLES, used, { matrix, at, by });
      const below = slowLoss(network, SAMPLES, used, { matrix, at, by: -by });
      const slope = (above - below) / (2 * by);
      const error = Math.abs(gradients[matrix][at] - slope);
      assert(error < 2e-4 + 2e-3 * Math.abs(slope), `${matrix}[${at}]: ${error} beside ${slope}`);
    }
    for (let k = 0; k < SHAPE.rank; k++) {
      const padding = gradients.fc1.subarray(k * 32 + SHAPE.inputLength, (k + 1) * 32);
      assertEquals(padding.every((value) => value === 0), true);
    }
  });
}

Deno.test("score() gives the scores of every neuron", () => {
  const network = randomNetwork(SAMPLES);
  const { rank, neuronCount } = SHAPE;
  network.begin(SAMPLES, Int32Array.of(7, 30), { first: 0, count: 2 });
  const hidden = network.hidden.slice(rank, 2 * rank);
  assert(hidden.some((value) => value > 0) && hidden.every((value) => value >= 0));
  let seen = 0;
  network.score((scores, { first, count }) => {
    for (let j = 0; j < count; j++, seen++) {
      let expected = 0;
      for (let k = 0; k < rank; k++) expected += network.fc2[(first + j) * rank + k] * hidden[k];
      assert(Math.abs(scores[j * BATCH + 1] - expected) < 1e-4);
    }
  });
  assertEquals(seen, neuronCount);
});
