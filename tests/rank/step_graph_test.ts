/** What of a step lives at the same time, where no run of a model would show that it must. */
import { assert, assertEquals } from "@std/assert";
import { stepGraph, type StepTensor } from "../../src/rank/plan/step_graph.ts";
import { planMemory } from "../../src/shapes/mod.ts";
import { Rng } from "../support/rng.ts";

const BOUNDS = { tokensMax: 8, contextMax: 8, batchMax: 1 };

Deno.test("rows of a table that stays in a file come to where nothing of an embedding lies", () => {
  const names: readonly StepTensor[] = ["staging", "ropes", "incoming", "normed.q8", "logits"];
  let shared = 0;
  for (let seed = 0; seed < 60; seed++) {
    const rng = new Rng(seed);
    const bytes = Object.fromEntries(names.map((name) => [name, 64 * (1 + rng.int(40))]));
    const graph = stepGraph({
      config: { blockCount: 2, experts: null, hasParallelBlocks: false },
      ...{ bytes, isSparse: false, hasPredictors: false },
    });
    const options = { alignBytes: 64, places: "fixed", sharesBytes: true } as const;
    const { places } = planMemory(graph, BOUNDS, options);
    const placeOf = (name: StepTensor) => {
      const { buffer, offset } = places.find(({ tensor }) => tensor.name === name)!;
      return { buffer, start: offset.constant!, end: offset.constant! + bytes[name] };
    };
    const overlap = (a: StepTensor, b: StepTensor) => {
      const [one, other] = [placeOf(a), placeOf(b)];
      return one.buffer === other.buffer && one.start < other.end && other.start < one.end;
    };
    for (const name of ["ropes", "incoming", "normed.q8"] as const) {
      assertEquals(overlap("staging", name), false, `seed ${seed}: ${name}`);
    }
    if (overlap("staging", "logits")) shared++;
  }
  assert(shared > 0, "staging gives its bytes to what comes later");
});
