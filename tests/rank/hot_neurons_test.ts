import { assert, assertEquals } from "@std/assert";
import { CLUSTER_SLOTS } from "../../src/cache/mod.ts";
import { parseGguf } from "../../src/gguf/mod.ts";
import { type GpuPart, planModel } from "../../src/llm/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import {
  clustersOnGpu,
  hotSegments,
  neuronsAt,
  orderByRate,
} from "../../src/rank/plan/hot_neurons.ts";
import type { DensePlan, MatrixPlan, RankPlan } from "../../src/rank/plan/plan_types.ts";
import { eachRange } from "../../src/rank/plan/ranges.ts";
import { lengthOf, type Range } from "../../src/rank/plan/shard.ts";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";
import { Rng } from "../support/rng.ts";
import { loadKernelModule } from "../../wasm/mod.ts";

const flat = (ranges: readonly Range[]) =>
  ranges.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i));

Deno.test("hotSegments() cuts where shares end, and leaves the rest to threads", () => {
  const of = { total: 320, unit: 32 };
  assertEquals(hotSegments([0.3, 0.5], of), [
    { neurons: { start: 0, end: 96 }, gpuFromTokens: 1 },
    { neurons: { start: 96, end: 160 }, gpuFromTokens: 2 },
    { neurons: { start: 160, end: 320 }, gpuFromTokens: null },
  ]);
  assertEquals(hotSegments([0, 0.4, 0.4, 1], of), [
    { neurons: { start: 0, end: 128 }, gpuFromTokens: 2 },
    { neurons: { start: 128, end: 320 }, gpuFromTokens: 32 },
  ]);
  assertEquals(hotSegments([1], of), [{ neurons: { start: 0, end: 320 }, gpuFromTokens: 1 }]);
});

Deno.test("clustersOnGpu() are all of a stripe for a share of 1, of less whole clusters", () => {
  for (const stripe of [1, 32, 96, 100, 320]) assertEquals(clustersOnGpu(1, stripe), stripe);
  const of = (share: number, ...experts: number[]) =>
    clustersOnGpu(share, 10 * CLUSTER_SLOTS, ...experts) / CLUSTER_SLOTS;
  assertEquals([0, 0.04, 0.06, 0.5, 0.94, 0.96].map((share) => of(share)), [0, 0, 1, 5, 9, 10]);
  // Of what all tokens use it has some only where it has some of the others.
  assertEquals([of(0.4, CLUSTER_SLOTS), of(0.6, CLUSTER_SLOTS)], [0, 6]);
});

Deno.test("orderByRate() puts the blocks with the largest sums first, each in the file's order", () => {
  // Block 2 has the single most frequent neuron, blocks 1 and 3 the largest sums.
  const rates = [0, 0, 0, 0, /**/ 3, 3, 3, 3, /**/ 9, 0, 0, 0, /**/ 4, 4, 4, 4, /**/ 1, 1];
  const segments = hotSegments([0.5, 0.7], { total: 18, unit: 4 });
  const order = orderByRate(rates, { unit: 4, segments });
  assertEquals(order, [
    { start: 4, end: 8 },
    { start: 12, end: 16 },
    { start: 8, end: 12 },
    { start: 0, end: 4 },
    { start: 16, end: 18 },
  ]);
  assertEquals(neuronsAt(order, { start: 6, end: 14 }), [
    { start: 14, end: 16 },
    { start: 8, end: 12 },
    { start: 0, end: 2 },
  ]);
  const single = hotSegments([0.5], { total: 18, unit: 2 });
  const byNeuron = flat(orderByRate(rates, { unit: 1, segments: single }));
  assertEquals(byNeuron.slice(0, 8), [4, 5, 6, 7, 8, 12, 13, 14]);
});

Deno.test("orderByRate() is a permutation, and the file's order where all fire alike", () => {
  const rng = new Rng(5);
  for (const [total, unit] of [[96, 32], [101, 1], [300, 32], [1024, 256], [5, 32]]) {
    const segments = hotSegments([0.3, 0.6], { total, unit: Math.max(unit, 32) });
    const rates = Array.from({ length: total }, () => rng.int(100));
    const order = flat(orderByRate(rates, { unit, segments }));
    assertEquals(order.toSorted((a, b) => a - b), [...order.keys()]);
    assertEquals(order.length, total);
    const even = orderByRate(new Uint32Array(total), { unit, segments });
    assertEquals(even, [{ start: 0, end: total }]);
  }
});

/** Neurons of the file that a block's matrices are read from: rows of up, columns of down. */
function neuronsOf({ gate, up, down }: DensePlan): number[] {
  const ofMatrix = ({ picked, rows, columns }: MatrixPlan, axis: "rows" | "columns") =>
    flat([...eachRange(picked?.ranges ?? [axis === "rows" ? rows : columns])]);
  const found = ofMatrix(up, "rows");
  const width = lengthOf(up.rows);
  if (gate !== null) assertEquals(ofMatrix(gate, "rows"), found);
  assertEquals(ofMatrix(down, "columns"), found, "down has the same neurons");
  assertEquals(found.length, width);
  return found;
}

/** Of each rank, by the tokens of a step. */
function owned(plans: readonly RankPlan[], layer: number, n: number): number[][] {
  return plans.map(({ layers }) => {
    const { feedForward, steppedNeurons } = layers[layer];
    const now = steppedNeurons.filter(({ tokens }) => n >= tokens.start && n < tokens.end);
    return [feedForward as DensePlan, ...now.map(({ block }) => block)].flatMap(neuronsOf);
  });
}

const CASES: readonly [string, TinyModelOptions, number][] = [
  ["F32", { architecture: "bamboo", feedForwardLength: 320 }, 32],
  ["Q4_0", { architecture: "bamboo", feedForwardLength: 320, type: "Q4_0" }, 32],
  [
    "Q4_K",
    { architecture: "llama", embeddingLength: 256, feedForwardLength: 1280, type: "Q4_K" },
    256,
  ],
  [
    "down by neurons",
    { architecture: "bamboo", hasDownTransposed: true, feedForwardLength: 320 },
    1,
  ],
];

for (const [name, of, unit] of CASES) {
  Deno.test(`planRanks() gives a GPU the most frequent neurons, each once: ${name}`, async () => {
    const { plans, counts, neurons } = await planned(of);
    for (let layer = 0; layer < 2; layer++) {
      const sumOf = (neuron: number) => {
        const first = neuron - neuron % unit;
        return counts[layer].subarray(first, first + unit).reduce((a, b) => a + b, 0);
      };
      for (const [n, share] of [[1, 0.4], [2, 0.6], [40, 0.6]]) {
        const [one, two, gpu] = owned(plans, layer, n);
        const all = [...one, ...two, ...gpu];
        assertEquals(all.toSorted((a, b) => a - b), Array.from({ length: neurons }, (_, i) => i));
        assertEquals(gpu.length, share * neurons);
        const coldest = Math.min(...gpu.map(sumOf));
        assert([...one, ...two].every((neuron) => sumOf(neuron) <= coldest), `layer ${layer}`);
      }
    }
  });
}

async function planned(of: TinyModelOptions) {
  const file = parseGguf(tinyModel(of));
  const model = describeModel(file);
  const neurons = model.config.feedForwardLength;
  const rng = new Rng(11);
  const counts = [0, 1].map(() => Uint32Array.from({ length: neurons }, () => rng.int(1000)));
  const part: GpuPart = {
    share: { heads: 1, neurons: [0.4, 0.6], hasOutput: true, layers: 2 },
    ...{ isAlone: false, mayBeSoftware: true, priority: "normal", isByFrequency: true },
  };
  const firing = { counts, modelFingerprint: "" };
  const module = await loadKernelModule();
  const plans = planModel({ file, model }, module, { threads: 2, firing }, part);
  return { plans, counts, neurons };
}
