/** Plans of models whose neurons all fire: units come from the disk as a whole. */
import { assert, assertAlmostEquals, assertEquals, assertGreater, assertLess } from "@std/assert";
import { GiB, MiB } from "../../src/base/units.ts";
import { type MemoryPlan, planMemory } from "../../src/planner/mod.ts";
import type { ShapeName } from "../../src/synth/shapes.ts";
import { shapeInput, type ShapeOptions } from "./shape_input.ts";

function planOf(name: ShapeName, budgetBytes: number, options: ShapeOptions = {}): MemoryPlan {
  const plan = planMemory(shapeInput(name, { ...options, budgetBytes }));
  assert(plan.kind === "plan", `${name} runs within ${budgetBytes} bytes`);
  return plan;
}

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
