/** What threads have of a packed file's neurons beside a GPU: plans and numbers, no adapter. */
import { assert, assertEquals } from "@std/assert";
import { openPacked } from "../../src/bundle/mod.ts";
import type { BundleUnit } from "../../src/bundle/types.ts";
import { describeModel } from "../../src/model/mod.ts";
import { ownUnits } from "../../src/rank/plan/own_units.ts";
import { planRanks } from "../../src/rank/plan/plan.ts";
import { unitOptions, UnitPlan } from "../../src/rank/plan/plan_units.ts";
import type { MatrixPlan, RankPlan } from "../../src/rank/plan/plan_types.ts";
import { eachRange, type Ranges, shiftAll } from "../../src/rank/plan/ranges.ts";
import { lengthOf, type Range } from "../../src/rank/plan/shard.ts";
import { FEW_SLOTS, withPacked } from "../support/packed_model.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

const NEURONS = 2048;
const THREADS = 2;
const SIZES = {
  q8_bytes: (n: number, k: number) => n * k * 2,
  ...{ neurons_scratch_bytes: () => 1024, matmul_long_scratch_bytes: () => 1024 },
  ...{ attention_scratch_bytes: () => 1024, choose_scratch_bytes: () => 1024 },
};

/** Threads' plans beside a GPU that has a share of the neurons of the last layers, of two. */
function plansOf(
  path: string,
  share: number,
  choice: Partial<typeof FEW_SLOTS>,
  layers = 1,
): { plans: readonly RankPlan[]; gpu: RankPlan; units: readonly BundleUnit[] } {
  const { file, units } = openPacked(path);
  const plans = planRanks(describeModel(file), file.tensors, {
    ...{ rankCount: THREADS + 1, contextLength: 64, chunkTokens: 4, sizes: SIZES },
    kvType: "auto",
    gpu: { heads: 1, neurons: [share], hasOutput: true, layers },
    packed: unitOptions(units, { ...FEW_SLOTS, ...choice }),
  });
  const isGpus = ({ gpu }: RankPlan) => gpu !== null;
  return { plans: plans.filter((plan) => !isGpus(plan)), gpu: plans.find(isGpus)!, units };
}

const WIDE = { architecture: "bamboo", type: "Q4_0", feedForwardLength: NEURONS } as const;

/** Bytes of matrices of each layer, over all threads. */
function layerBytes(
  plans: readonly RankPlan[],
  of: (layer: RankPlan["layers"][number]) => MatrixPlan | null | undefined,
): number[] {
  return [0, 1].map((layer) =>
    plans.reduce((sum, { layers }) => {
      const matrix = of(layers[layer]);
      return sum + (matrix ? lengthOf(matrix.rows) * matrix.rowStrideBytes : 0);
    }, 0)
  );
}

Deno.test("threads have no gates, ups and predictors' rows of neurons that are a GPU's", () =>
  withPacked({ ...WIDE, predictor: { rank: 32 } }, (_, path) => {
    const neuronsOf = ({ feedForward }: RankPlan["layers"][number]) => {
      assert(feedForward !== null && feedForward.kind !== "experts");
      return feedForward;
    };
    const bytesIn = (share: number, choice: Partial<typeof FEW_SLOTS>) => {
      const { plans } = plansOf(path, share, choice);
      return {
        gates: layerBytes(plans, (layer) => neuronsOf(layer).gate),
        ups: layerBytes(plans, (layer) => {
          const block = neuronsOf(layer);
          return block.kind === "dense" ? block.up : null;
        }),
        seconds: layerBytes(plans, (layer) => neuronsOf(layer).predictor?.second),
        lists: plans.map(({ workspaces: [{ stream }] }) => stream!.neuronCount),
      };
    };
    const none = bytesIn(0, {});
    const half = bytesIn(.5, {});
    assert(none.gates[1] > 0 && none.seconds[1] > 0);
    assertEquals(half.gates, [none.gates[0], none.gates[1] / 2]);
    assertEquals(half.seconds, [none.seconds[0], none.seconds[1] / 2]);
    assertEquals(half.lists, none.lists, "the other layer's neurons are listed, all of them");
    const { plans: both } = plansOf(path, .5, {}, 2);
    const lists = both.map(({ workspaces: [{ stream }] }) => stream!.neuronCount);
    assertEquals(lists, none.lists.map((count) => count / 2));
    const whole = { residentUnits: 2, hasResidentGates: false, slotCount: 0 };
    const all = bytesIn(0, whole);
    const rest = bytesIn(.75, whole);
    assertEquals(rest.ups, [all.ups[0], all.ups[1] / 4]);
    assertEquals(rest.gates, [all.gates[0], all.gates[1] / 4]);
    assertEquals(bytesIn(1, {}).gates, [none.gates[0], 0]);
    return Promise.resolve();
  }));

Deno.test("ownUnits() counts what is left beside a GPU, and knows bundles and columns of it", () =>
  withPacked({ ...WIDE, predictor: { rank: 32 } }, (_, path) => {
    const { plans, units } = plansOf(path, .25, {});
    let neurons = 0;
    for (const plan of plans) {
      const own = ownUnits(plan, units);
      const [first, last] = [own.get(0)!, own.get(1)!];
      assertEquals([first.gpuOfStripe, first.columns[7], first.bundleOf], [0, 7, first.positions]);
      const { count, columnCount, stripes, gpuOfStripe, bundles } = last;
      const inStripe = columnCount / stripes;
      assertEquals([gpuOfStripe, count], [inStripe / 4, columnCount * 3 / 4]);
      const start = (last.offsetBytes - bundles.offsetBytes) / bundles.bundleBytes;
      const { feedForward } = plan.layers[1];
      assert(feedForward !== null && feedForward.kind !== "experts");
      const picked = [...eachRange(feedForward.predictor!.second.picked!.ranges)]
        .flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i));
      assertEquals(picked, [...last.columns].map((column) => start + column));
      for (let neuron = 0; neuron < count; neuron++) {
        const bundle = last.bundleOf[neuron];
        assertEquals(bundles.order[start + bundle] - start, last.columns[neuron]);
        assert(bundle % inStripe >= gpuOfStripe);
        assertEquals(last.order[last.positions[neuron]], neuron);
        assert(neuron === 0 || last.columns[neuron] > last.columns[neuron - 1], "in their order");
        assertEquals(last.rates![last.positions[neuron]], bundles.rates![start + bundle]);
      }
      neurons += count;
    }
    assertEquals(neurons, NEURONS * 3 / 4);
    return Promise.resolve();
  }));

/** Two experts of four a token. */
const MIXTURE: TinyModelOptions = {
  ...{ architecture: "drelu-moe" as const, type: "Q4_0" as const, predictor: { rank: 32 } },
  changes: { experts: { count: 4, used: 2, length: NEURONS } },
};

function expertsOf({ feedForward }: RankPlan["layers"][number]) {
  assert(feedForward?.kind === "experts");
  return feedForward;
}

Deno.test("of each expert threads have what a GPU does not, and both have all of the router", () =>
  withPacked(MIXTURE, (_, path) => {
    for (const [share, left] of [[0, 1], [.5, .5], [1, 0]]) {
      const { plans, gpu, units } = plansOf(path, share, { residentUnits: 99 });
      const layer = gpu.layers[1];
      assertEquals(expertsOf(gpu.layers[0]).choosesInArena, false, "the first one is the threads'");
      assertEquals(expertsOf(layer).choosesInArena, share > 0);
      // A thread's and the GPU's: the same rows of the same type in an arena.
      const shown = (
        { router: { rows, type, offsetBytes } }: ReturnType<typeof expertsOf>,
      ) => [rows, type, offsetBytes > 0];
      if (share > 0) assertEquals(shown(expertsOf(layer)), shown(expertsOf(plans[0].layers[1])));
      assertEquals(layer.feedForwardNorm!.weight!.offsetBytes > 0, share > 0);
      for (let expert = 0; expert < 4; expert++) {
        const rows = layerBytes(plans, (each) => {
          const block = expertsOf(each).experts[expert];
          return block.kind === "dense" ? block.up : null;
        });
        assertEquals(rows[1], left * rows[0], `expert ${expert}, ${share}`);
        const seconds = layerBytes(
          plans,
          (each) => expertsOf(each).experts[expert].predictor?.second,
        );
        assertEquals(seconds[1], left * seconds[0]);
        const own = expertsOf(layer).experts[expert];
        assert(own.kind === "dense");
        assertEquals(lengthOf(own.up.rows), (1 - left) * NEURONS);
        assertEquals(own.up.ofUnit?.unit, share > 0 ? 4 + expert : undefined);
        if (left !== .5) continue;
        for (const plan of plans) assertOwnColumns(plan, units, 4 + expert);
      }
    }
    return Promise.resolve();
  }));

/** Rows of the predictor of an expert's unit are those of the neurons that a thread has. */
function assertOwnColumns(plan: RankPlan, units: readonly BundleUnit[], unit: number) {
  const own = ownUnits(plan, units).get(unit)!;
  const { columns, offsetBytes, bundles } = own;
  const start = (offsetBytes - bundles.offsetBytes) / bundles.bundleBytes;
  const { second } = expertsOf(plan.layers[1]).experts[unit - 4].predictor!;
  const picked = [...eachRange(second.picked!.ranges)]
    .flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i));
  const before = (unit - 4) * NEURONS;
  assertEquals(picked, [...columns].map((column) => before + start + column));
}

Deno.test("lists have room for what of experts is left to threads, and so has the stage", () =>
  withPacked(MIXTURE, (_, path) => {
    const roomIn = (share: number) =>
      plansOf(path, share, { hasResidentGates: false }, 2).plans.map(({ workspaces }) => {
        const { neuronCount, placeBytes } = workspaces[0].stream!;
        return { neuronCount, placeBytes };
      });
    const [none, half] = [roomIn(0), roomIn(.5)];
    assertEquals(half.map((each) => each.neuronCount), none.map((each) => each.neuronCount / 2));
    half.forEach((each, rank) => assert(each.placeBytes < none[rank].placeBytes));
    return Promise.resolve();
  }));

Deno.test("what is left of a unit is remembered by what was asked", () =>
  withPacked(MIXTURE, (_, path) => {
    const { units } = openPacked(path);
    const plan = new UnitPlan(unitOptions(units, FEW_SLOTS));
    const leftOf = (expert: number, neurons: Range, gpuOfStripe: number) => {
      const own = { neurons, gpuOfStripe, neuronsOnGpu: 0 };
      return [...eachRange(plan.besideGpu(1, expert, own)!)]
        .reduce((sum, range) => sum + lengthOf(range), 0);
    };
    const all = { start: 0, end: NEURONS };
    const half = { start: 0, end: NEURONS / 2 };
    const stripe = NEURONS / units[0].stripes;
    assertEquals(leftOf(0, all, stripe / 2), NEURONS / 2);
    assertEquals(leftOf(0, all, stripe / 4), NEURONS * 3 / 4);
    assertEquals(leftOf(0, half, stripe / 4), NEURONS * 3 / 8);
    const first = plan.besideGpu(1, 0, { neurons: all, gpuOfStripe: stripe / 2, neuronsOnGpu: 0 })!;
    assert(
      first === plan.besideGpu(1, 0, { neurons: all, gpuOfStripe: stripe / 2, neuronsOnGpu: 0 }),
    );
    const [hot, hotter] = [2, 4].map((part) => plan.onGpu(1, 0, stripe / part)!);
    const countOf = (ranges: Ranges) =>
      [...eachRange(ranges)].reduce((sum, range) => sum + lengthOf(range), 0);
    assertEquals([countOf(hot), countOf(hotter)], [NEURONS / 2, NEURONS / 4]);
    // All who ask have the same numbers, wherever in its tensor a matrix begins.
    const shifted = shiftAll(first, 5);
    assert("bounds" in shifted && "bounds" in first && shifted.bounds === first.bounds);
    assert(first.bounds.buffer instanceof SharedArrayBuffer);
    return Promise.resolve();
  }));

Deno.test("each neuron's biases are on one side, and are counted in what a GPU needs", () =>
  withPacked(
    { architecture: "llama-biased", type: "Q8_0", feedForwardLength: NEURONS },
    (_, path) => {
      for (const residentUnits of [0, 9]) {
        const choice = { residentUnits, hasResidentGates: false, slotCount: 0 };
        const { plans, gpu } = plansOf(path, .5, choice);
        const upsOf = ({ layers: [, { feedForward }] }: RankPlan) => {
          assert(feedForward !== null && feedForward.kind !== "experts");
          return feedForward.kind === "dense" ? feedForward.up.bias : feedForward.biases.up;
        };
        const numbers = [...plans, gpu].map((plan) => {
          const { range, picked } = upsOf(plan)!;
          const found = [...eachRange(picked!)]
            .flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i));
          assertEquals(found.length, lengthOf(range));
          return found;
        });
        assertEquals(numbers.at(-1)!.length, NEURONS / 2);
        assertEquals(numbers.flat().sort((a, b) => a - b), [...Array(NEURONS).keys()]);
        const none = plansOf(path, 0, choice).gpu.gpu!.weightsBytes;
        // Of Q8_0 two rows, a column in halves, and biases of gate and up.
        const each = 2 * (64 + 64 / 32 * 2) + 2 * 64 + 2 * 4;
        assertEquals(gpu.gpu!.weightsBytes - none, NEURONS / 2 * each);
      }
      return Promise.resolve();
    },
  ));
