/** What is expected of weights that are looked up, and of such that are written out. */
import { assert, assertAlmostEquals, assertEquals, assertGreater } from "@std/assert";
import { GiB } from "../../src/base/units.ts";
import type { ExpectedDecode } from "../../src/planner/mod.ts";
import { tensorBytes } from "../../src/model/dtypes.ts";
import { modelUnits, type PlanInput, planMemory } from "../../src/planner/mod.ts";
import type { ShapeName } from "../../src/synth/shapes.ts";
import { shapeInput } from "./shape_input.ts";

/** A shape whose matrices are of a type. */
function inputOf(name: ShapeName, type: string): PlanInput {
  const input = shapeInput(name, { budgetBytes: 64 * GiB, isSparse: false });
  const tensors = new Map([...input.tensors].map(([key, tensor]) => {
    if (tensor.type !== "Q4_0") return [key, tensor];
    return [key, { ...tensor, type, sizeBytes: tensorBytes(type, tensor.dims) }];
  }));
  return { ...input, tensors, units: modelUnits(input.model, tensors, 64).units };
}

function expectedOf(name: ShapeName, type: string, writesOut?: boolean): ExpectedDecode {
  const plan = planMemory({ ...inputOf(name, type), writesOut });
  assert(plan.kind === "plan" && plan.way === "resident");
  return plan.expected;
}

function partsMs({ parts }: ExpectedDecode): number {
  return Object.values(parts).reduce((sum, ms) => sum + ms, 0);
}

Deno.test("rows that are looked up take their own time, whatever memory can do", () => {
  const name = "tinyllama-1.1b";
  const looked = expectedOf(name, "IQ2_XS"), written = expectedOf(name, "IQ2_XS", true);
  const q4 = expectedOf(name, "Q4_0");
  assertEquals([looked, written, q4].map((each) => each.bottleneck), [
    ...["look-ups", "memory", "memory"],
  ]);
  // Two threads look up 2.4 GB/s each; nearly all of 300 MB is looked up.
  const { tensors, threads } = inputOf(name, "IQ2_XS");
  const bytes = [...tensors.values()]
    .filter(({ type, name }) => type === "IQ2_XS" && name !== "token_embd.weight")
    .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const lookUps = bytes / (threads * 2.4e9);
  assertGreater(1 / looked.tokensPerSecond, lookUps);
  assertAlmostEquals(1 / looked.tokensPerSecond, lookUps, 0.04 * lookUps);
  // Written out it is a model of 4.625 bits for 4.5.
  assertGreater(q4.tokensPerSecond, written.tokensPerSecond);
  assertAlmostEquals(written.tokensPerSecond, q4.tokensPerSecond, 0.1 * q4.tokensPerSecond);
  assertGreater(written.memoryBytes, 1.8 * looked.memoryBytes);
  for (const each of [looked, written, q4]) {
    assertAlmostEquals(partsMs(each), 1000 / each.tokensPerSecond, 1e-6);
  }
});

Deno.test("of experts that are looked up, those count that a token uses", () => {
  const name = "qwen3-30b-a3b";
  const looked = expectedOf(name, "IQ2_XS"), written = expectedOf(name, "IQ2_XS", true);
  // 3.3 billion weights of a token, not 30, of 2.3 bits, by two threads.
  const lookUps = 3.3e9 * 2.3125 / 8 / (2 * 2.4e9);
  assertAlmostEquals(1 / looked.tokensPerSecond, lookUps, 0.2 * lookUps);
  assertGreater(written.tokensPerSecond, 1.8 * looked.tokensPerSecond);
});
