/** Plans of models whose neurons all fire: units come from the disk as a whole. */
import { assert, assertAlmostEquals, assertEquals, assertGreater, assertLess } from "@std/assert";
import { GiB, MiB } from "../../src/base/units.ts";
import { planMemory } from "../../src/planner/mod.ts";
import { sumUnits } from "../../src/planner/model_bytes.ts";
import { missingBytes } from "../../src/planner/whole_units.ts";
import { deepTest } from "../support/deep.ts";
import { planOf, shapeInput } from "./shape_input.ts";

Deno.test("planMemory() fills the budget with places for experts, and its sums are exact", () => {
  for (const budget of [6 * GiB, 10 * GiB]) {
    const plan = planOf("qwen3-30b-a3b", budget, { quant: "Q4_K_M" });
    assertEquals([plan.way, plan.rates], ["units", "all"]);
    const total = plan.regions.reduce((sum, { bytes }) => sum + bytes, 0);
    assertEquals(plan.totalBytes, total);
    assert(total <= budget && total > budget - plan.slotBytes, `${budget - total} left`);
    assertEquals(plan.residentShare, plan.slots / (48 * 128));
    for (const { bytes, arenas } of plan.ranks) assertLess(bytes, arenas.length * 4 * GiB);
    // Of the 8 experts of a layer those come that have no place.
    const used = 48 * 8 * plan.slotBytes;
    assertAlmostEquals(plan.expected.diskBytes / used, 1 - plan.residentShare, 0.1);
  }
});

Deno.test("planMemory() expects experts to wait for the disk, and the next dense layer to hide it", () => {
  const { parts, bottleneck } = planOf("qwen3-30b-a3b", 6 * GiB, { quant: "Q4_K_M" }).expected;
  assertEquals(bottleneck, "disk");
  const dense = planOf("qwen3-4b", 2 * GiB, { quant: "Q4_0" });
  assertEquals(dense.way, "units");
  const seconds = dense.expected.diskBytes / 1.7e9;
  const { neurons, cache, diskWait } = dense.expected.parts;
  assertAlmostEquals(neurons + cache + diskWait, 1e3 * seconds, 1e-6);
  assertGreater(parts.diskWait, 0);
});

Deno.test("planMemory() is never slower with more memory where whole units come", () => {
  const of = (gib: number) => planOf("qwen3-30b-a3b", gib * GiB, { quant: "Q4_K_M" });
  const plans = [5, 7, 9, 12, 15].map(of);
  for (const [i, plan] of plans.entries()) {
    if (i === 0) continue;
    assert(plan.expected.tokensPerSecond > plans[i - 1].expected.tokensPerSecond);
    assert(plan.prefillTokensPerSecond >= plans[i - 1].prefillTokensPerSecond);
  }
});

Deno.test("planMemory() refuses a budget without a place, and says which one has one", () => {
  const input = shapeInput("qwen3-30b-a3b", { quant: "Q4_K_M", budgetBytes: 256 * MiB });
  const refusal = planMemory(input);
  assert(refusal.kind === "refusal");
  const enough = planMemory({ ...input, budgetBytes: refusal.neededBytes });
  assert(enough.kind === "plan" && enough.slots === 1);
  assertEquals(planMemory({ ...input, budgetBytes: refusal.neededBytes - 1 }).kind, "refusal");
});

Deno.test("planMemory() of a model whose neurons are to be computed all has whole units, too", () => {
  assertEquals(planOf("bamboo-7b", 3 * GiB, { isSparse: false }).way, "units");
  assertEquals(planOf("bamboo-7b", 3 * GiB).way, "gates");
});

const SUPER = "nemotron-3-super-120b";

Deno.test("sumUnits() counts experts as wide as the latents that they read", () => {
  const sums = sumUnits(shapeInput(SUPER, { quant: "Q8_0", alignBytes: 64 }));
  // 40 layers of 512 experts, each 2 · 1024 · 2688 weights, and one that all tokens use.
  const weights = 40 * (512 * 1024 + 4096 * 2) * 2 * 2688;
  assertAlmostEquals((sums.bundleBytes + sums.factorsBytes) / (weights * 34 / 32), 1, 0.05);
  // Of the experts a token uses 22.
  assertEquals(sums.usedWeights, 40 * (22 * 1024 + 2 * 4096) * 2 * 2688);
  assertEquals([sums.gateBytes, sums.layerNeurons], [0, (22 + 2) * 2688]);
  // Factors of down are apart: 34 bytes of 32 weights of up, 32 of down.
  assertEquals(sums.usedRestBytes / sums.usedWeights, 33 / 32);
});

Deno.test("missingBytes() expects no disk for what every token needs, where that is kept", () => {
  const input = shapeInput(SUPER, { quant: "Q8_0", alignBytes: 64 });
  const sums = sumUnits(input), { length } = input.units;
  const { common, usedBundleBytes, bundleBytes } = sums;
  assertEquals([length, common.units], [40 * 513, 40]);
  const of = (residentShare: number, keepsCommon?: boolean) =>
    missingBytes(sums, length, { residentShare, keepsCommon });
  assertEquals(of(0), { ofToken: usedBundleBytes, ofAll: bundleBytes });
  // Who keeps nothing else reads experts alone; half of these, where half of them have places.
  const experts = {
    ofToken: usedBundleBytes - common.bundleBytes,
    ofAll: bundleBytes - common.bundleBytes,
  };
  assertEquals(of(40 / length, true), experts);
  const half = of((40 + 40 * 256) / length, true);
  assertAlmostEquals(half.ofToken / experts.ofToken, 0.5, 1e-9);
  assertAlmostEquals(half.ofAll / experts.ofAll, 0.5, 1e-9);
  // A layer's 22 experts of a token read latents, its shared one is two of them that do not.
  assertAlmostEquals(common.bundleBytes / usedBundleBytes, 2 * 4 / (22 + 2 * 4), 0.02);
  for (const keepsCommon of [false, true]) {
    assertEquals(of(1, keepsCommon), { ofToken: 0, ofAll: 0 });
    assertEquals(of(1.5, keepsCommon), { ofToken: 0, ofAll: 0 });
  }
});

deepTest(
  "planMemory() has experts whose neurons have no gates come as wholes",
  "latent_experts_test.ts runs some so; a plan of 20,000 units takes seconds",
  () => {
    // Nothing says which of their neurons fire before all are computed.
    const plan = planOf(SUPER, 16 * GiB, { threads: 4, quant: "Q8_0" });
    assertEquals([plan.way, plan.rates], ["units", "all"]);
    assertEquals(plan.expected.firingNeurons, 40 * (22 + 2) * 2688);
    // What a neuron has begins at 512 bytes: an eighth more than the weights of them.
    const used = sumUnits(shapeInput(SUPER, { threads: 4, quant: "Q8_0" })).usedBundleBytes;
    const weights = 40 * (22 * 1024 + 4096 * 2) * 2 * 2688 * 34 / 32;
    assertAlmostEquals(used / weights, 1.13, 0.01);
    assertAlmostEquals(plan.expected.diskBytes, used * (1 - plan.residentShare), 1);
    const lack = shapeInput(SUPER, { threads: 4, budgetBytes: 4 * GiB });
    assertEquals(planMemory(lack).kind, "refusal");
  },
);
