import { assert, assertAlmostEquals, assertEquals, assertGreater, assertLess } from "@std/assert";
import { CLUSTER_SLOTS } from "../../src/cache/mod.ts";
import { GiB, MiB } from "../../src/base/units.ts";
import { DEFAULT_PROFILE, type MemoryPlan, planMemory } from "../../src/planner/mod.ts";
import type { ShapeName } from "../../src/synth/shapes.ts";
import { IS_DEEP } from "../support/deep.ts";
import { planOf, shapeInput, type ShapeOptions } from "./shape_input.ts";

function neededBy(name: ShapeName, options: ShapeOptions = {}): number {
  const refusal = planMemory(shapeInput(name, { ...options, budgetBytes: 0 }));
  assert(refusal.kind === "refusal");
  return refusal.neededBytes;
}

function bytesOf({ regions }: MemoryPlan, name: string): number {
  return regions.find((region) => region.name === name)!.bytes;
}

/** Seconds of 512 tokens of prompt and 128 of answer. */
function requestSeconds({ prefillTokensPerSecond, expected }: MemoryPlan): number {
  return 512 / prefillTokensPerSecond + 128 / expected.tokensPerSecond;
}

Deno.test("planMemory() fills the budget with slots, and its sums are exact", () => {
  for (
    const [name, budget] of [
      ["bamboo-7b", 3 * GiB],
      ["turbosparse-mixtral-47b", 16 * GiB],
      ["smallthinker-21b", 7 * GiB], // of 8 two arenas hold a little less
    ] as const
  ) {
    const plan = planOf(name, budget);
    assertEquals(plan.way, "gates");
    const total = plan.regions.reduce((sum, { bytes }) => sum + bytes, 0);
    assertEquals(plan.totalBytes, total);
    assert(total <= budget && total > budget - plan.slotBytes - 100, `${budget - total} left`);
    const inRanks = plan.ranks.reduce((sum, { bytes }) => sum + bytes, 0);
    assertEquals(inRanks, total - bytesOf(plan, "process") - bytesOf(plan, "io"));
    const arenas = plan.ranks.flatMap((rank) => rank.arenas);
    assertEquals(arenas.reduce((sum, { slots }) => sum + slots, 0), plan.slots);
    assertEquals(bytesOf(plan, "slots"), plan.slots * plan.slotBytes);
    for (const { bytes, arenas } of plan.ranks) assertLess(bytes, arenas.length * 4 * GiB);
  }
});

Deno.test("planMemory() keeps room for the keys and values of all requests at a time", () => {
  const [one, four] = [1, 4].map((sequences) => planOf("bamboo-7b", 3 * GiB, { sequences }));
  assertEquals(bytesOf(four, "context"), 4 * bytesOf(one, "context"));
  const lost = (one.slots - four.slots) * one.slotBytes;
  assertGreater(lost, 2.9 * bytesOf(one, "context"));
});

Deno.test("planMemory() counts fixed weights, gates and factors as ranks hold them", () => {
  const input = shapeInput("bamboo-7b");
  const plan = planOf("bamboo-7b", 3 * GiB);
  // A token reads one row of the embedding table, which stays on the disk, too.
  const onDisk = /ffn_(gate|up|down)\.|token_embd/;
  const fixed = [...input.tensors.values()].filter(({ name }) => !onDisk.test(name))
    // Each of two ranks has its rows of matrices, and all of each norm.
    .reduce((sum, { dims, sizeBytes }) => sum + sizeBytes * (dims.length > 1 ? 1 : 2), 0);
  assertEquals(bytesOf(plan, "weights"), fixed);
  assertEquals(bytesOf(plan, "gates"), 32 * 14336 * 4096 / 32 * 18);
  assertEquals(bytesOf(plan, "factors"), 32 * 14336 * 4096 / 32 * 2);
  // Keys and values: 16 bits and a scale for each head and position.
  assertEquals(bytesOf(plan, "context"), 32 * 1024 * 2 * 8 * (128 * 2 + 4));
  // Up: 2304 bytes, down: a column's 2048.
  assertEquals(plan.slotBytes, 4608);
});

/** Budgets from the smallest on, each so many times as large as the one before. */
const [BUDGETS, GROWTH] = IS_DEEP ? [9, 1.2] : [5, 1.2 ** 2];

Deno.test("planMemory() is never slower with more memory", () => {
  for (
    const [name, options] of [
      ["bamboo-7b", {}],
      ["bamboo-7b", { extras: { predictorRank: 1024 } }],
      ["turbosparse-mixtral-47b", {}],
      ["smallthinker-21b", { threads: 1 }],
    ] as const
  ) {
    const needed = neededBy(name, options);
    let before: MemoryPlan | null = null;
    for (let step = 0; step < BUDGETS; step++) {
      const plan = planOf(name, Math.ceil(needed * GROWTH ** step), options);
      if (before !== null) {
        assert(requestSeconds(plan) <= requestSeconds(before) * (1 + 1e-9), `${name}, ${step}`);
        assertGreater(plan.expected.tokensPerSecond, 0.98 * before.expected.tokensPerSecond);
      }
      before = plan;
    }
  }
});

Deno.test("planMemory() refuses with the smallest budget that works", () => {
  for (const name of ["bamboo-7b", "turbosparse-mixtral-47b", "smallthinker-21b"] as const) {
    const needed = neededBy(name);
    assertEquals(planOf(name, needed).kind, "plan");
    const refusal = planMemory(shapeInput(name, { budgetBytes: needed - 1 }));
    assert(refusal.kind === "refusal");
    assertEquals(refusal.neededBytes, needed);
  }
});

Deno.test("planMemory() keeps a model that fits in memory as a whole", () => {
  const plan = planOf("bamboo-7b", 6 * GiB);
  assertEquals([plan.way, plan.slots, plan.expected.diskReads], ["resident", 0, 0]);
  assertEquals(plan.totalBytes, plan.regions.reduce((sum, { bytes }) => sum + bytes, 0));
  const all = plan.ranks.reduce((sum, { bytes }) => sum + bytes, 0);
  assertEquals(plan.totalBytes, all + bytesOf(plan, "process"));
  // 9.1 tok/s were measured: README.md.
  assertAlmostEquals(plan.expected.tokensPerSecond, 9.1, 0.3 * 9.1);
  const dense = planOf("bamboo-7b", 6 * GiB, { isSparse: false });
  assertAlmostEquals(dense.expected.tokensPerSecond, 5.5, 0.3 * 5.5);
});

Deno.test("planMemory() leaves gates on the disk where a predictor stands in for them", () => {
  const options = { extras: { predictorRank: 1024 } };
  const needed = neededBy("bamboo-7b", options);
  assertLess(needed, neededBy("bamboo-7b") - 500 * MiB);
  const small = planOf("bamboo-7b", needed + 100 * MiB, options);
  assertEquals([small.way, small.slotBytes], ["predictor", 2304 + 2304 + 2048]);
  assertEquals(bytesOf(small, "gates"), 0);
  // With as much of the reads hidden, all gates are cheaper than a predictor that is asked by the
  // layer before, too; a smaller predictor is not, with hardly any reads.
  assertEquals(planOf("bamboo-7b", Math.ceil(3.5 * GiB), options).way, "gates");
  assertEquals(planOf("bamboo-7b", Math.ceil(3.9 * GiB), options).way, "gates");
  const lean = { extras: { predictorRank: 256 } };
  assertEquals(planOf("bamboo-7b", Math.ceil(3.9 * GiB), lean).way, "predictor");
});

Deno.test("planMemory() runs TurboSparse-Mixtral-47B within 7 GiB by predictors of its experts", () => {
  const name = "turbosparse-mixtral-47b";
  const [small, large] = [512, 1024].map((predictorRank) => ({ extras: { predictorRank } }));
  assertGreater(neededBy(name), 10 * GiB);
  assertLess(neededBy(name, large), 5 * GiB);
  const [a, b] = [small, large].map((options) => planOf(name, 7 * GiB, options));
  assertEquals([a.way, b.way, bytesOf(b, "gates")], ["predictor", "predictor", 0]);
  // All of them are in memory, of which a token reads two experts' of eight.
  const ofExpert = 512 * (4096 + 14336) / 32 * 18;
  assertEquals(bytesOf(b, "weights") - bytesOf(a, "weights"), 32 * 8 * ofExpert);
  assertAlmostEquals(b.expected.memoryBytes - a.expected.memoryBytes, 32 * 2 * ofExpert, 1e3);
  assertEquals(planOf(name, 18 * GiB, small).way, "predictor");
});

Deno.test("planMemory() leaves predictors out of what a prompt is computed with", () => {
  const speeds = [{}, { extras: { predictorRank: 1024 } }]
    .map((options) => planOf("turbosparse-mixtral-47b", 28 * GiB, options).prefillTokensPerSecond);
  assertEquals(speeds[1], speeds[0]);
});

Deno.test("planMemory() expects more of a faster disk and of a faster memory", () => {
  const { disk } = DEFAULT_PROFILE;
  const fasterDisk = {
    ...disk,
    random: disk.random.map((each) => ({ ...each, readsPerS: 2 * each.readsPerS })),
  };
  const speed = (profile: typeof DEFAULT_PROFILE) =>
    planOf("bamboo-7b", 2.5 * GiB, { profile }).expected.tokensPerSecond;
  const base = speed(DEFAULT_PROFILE);
  assertGreater(speed({ ...DEFAULT_PROFILE, disk: fasterDisk }), base);
  assertGreater(speed({ ...DEFAULT_PROFILE, readGBps: [20, 40] }), base);
});

Deno.test("planMemory() makes clusters hot only where frequencies were counted", () => {
  assertEquals(planOf("bamboo-7b", 3 * GiB).hotFractions, [0, 0, 0, 0]);
  const input = shapeInput("bamboo-7b", { budgetBytes: 3 * GiB });
  const units = input.units.map((unit) => ({
    ...unit,
    rates: Float32Array.from({ length: unit.neurons }, (_, i) => 1 / (1 + i / 100)),
  }));
  const plan = planMemory({ ...input, units });
  assert(plan.kind === "plan");
  assertGreater(plan.hotFractions[0], 0);
  const [{ hotClusters, slots }] = plan.ranks[0].arenas;
  assertEquals(hotClusters.length, 4);
  hotClusters.forEach((clusters, i) => {
    assert(clusters * CLUSTER_SLOTS <= 0.95 * slots);
    assert(i === 0 || clusters >= hotClusters[i - 1], "larger batches have more in common");
  });
});

Deno.test("planMemory() streams models whose neurons never rest, at the disk's speed", () => {
  const plan = planOf("mistral-7b", 3 * GiB, { isSparse: false });
  assertEquals([plan.rates, plan.expected.bottleneck], ["all", "disk"]);
  assertGreater(plan.expected.hitRate, 0.2);
});

Deno.test("planMemory() has no threads that read where the kernel does, and expects more", () => {
  const options = { extras: { predictorRank: 1024 }, ways: ["predictor"] } as const;
  const threads = planOf("bamboo-7b", 3 * GiB, options);
  const kernel = planOf("bamboo-7b", 3 * GiB, { ...options, kernelReads: true });
  assertGreater(threads.ioWorkers, 0);
  assertEquals([kernel.ioWorkers, bytesOf(kernel, "io")], [0, 2 * 3 * MiB]);
  assertGreater(kernel.slots, threads.slots);
  assertLess(kernel.expected.parts.ioCpu, threads.expected.parts.ioCpu / 2);
  assertGreater(kernel.expected.tokensPerSecond, threads.expected.tokensPerSecond);
});

Deno.test("planMemory() expects more reads of predictors that name more in vain", () => {
  const options = { extras: { predictorRank: 1024 }, ways: ["predictor"] } as const;
  const plans = [1, 1.2, 1.5].map((predictedPerActive) =>
    planOf("bamboo-7b", 3 * GiB, { ...options, predictedPerActive }).expected
  );
  const [precise, some, many] = plans.map(({ diskReads }) => diskReads);
  assertLess(precise, some);
  assertLess(some, many);
  assertLess(plans[2].tokensPerSecond, plans[0].tokensPerSecond);
  // Those that have no slot anyway are what is named in vain, more than what fires.
  assertGreater(some / precise, 1.2);
});

Deno.test("planMemory() counts a predictor twice where the layer before asks it, too", () => {
  const options = { extras: { predictorRank: 1024 }, ways: ["predictor"] } as const;
  const { ahead, gates } = planOf("bamboo-7b", 3 * GiB, options).expected.parts;
  const predictorBytes = 32 * 1024 * (4096 + 14336) / 32 * 18;
  assertAlmostEquals(ahead, 1e3 * predictorBytes / (0.9 * 22e9), 1);
  assertGreater(gates, 0);
  assertEquals(planOf("bamboo-7b", 3 * GiB).expected.parts.ahead, 0);
});

Deno.test("planMemory() reads gates first where bytes are dear and predictors name many in vain", () => {
  const { disk } = DEFAULT_PROFILE;
  // A slow card: as many reads a second as bytes allow.
  const byBytes = [2048, 8192, 65536].map((sizeBytes) => ({
    ...{ sizeBytes, workers: 4, readsPerS: 20e6 / sizeBytes, cpuShare: 0.1 },
  }));
  const dear = { ...DEFAULT_PROFILE, disk: { ...disk, random: byBytes } };
  const choose = (profile: typeof DEFAULT_PROFILE, predictedPerActive: number, asked?: boolean) => {
    const extras = { predictorRank: 512 };
    const ways = ["predictor"] as const;
    const options = { extras, ways, profile, predictedPerActive, readsGatesFirst: asked };
    return planOf("bamboo-7b", 2.5 * GiB, options).expected;
  };
  assert(choose(dear, 3).readsGatesFirst);
  assert(!choose(dear, 1).readsGatesFirst, "all that is named fires: one read is enough");
  assert(!choose(DEFAULT_PROFILE, 1.2).readsGatesFirst, "here reads are dear");
  const [chosen, whole] = [choose(dear, 3), choose(dear, 3, false)];
  assertGreater(chosen.tokensPerSecond, whole.tokensPerSecond);
  assertGreater(whole.diskBytes, chosen.diskBytes);
  assertGreater(chosen.diskReads, whole.diskReads);
  assert(choose(DEFAULT_PROFILE, 1.2, true).readsGatesFirst, "who asks for it gets it");
});
