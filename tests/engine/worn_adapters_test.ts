import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { mixOf, WornAdapters } from "../../src/engine/worn_adapters.ts";

/** Of two ranks, three sequences and two adapters. */
function setUp() {
  const memories = [0, 1].map(() => [
    new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }),
  ]);
  const plan = {
    adapters: { count: 2, stride: 16 },
    workspaces: [{ added: { table: 64 } }],
    sequences: 3,
  };
  const worn = new WornAdapters({ plans: [plan, plan], memories } as never);
  const tables = memories.map(([memory]) => new Float32Array(memory.buffer, 64, 6));
  return { worn, tables };
}

Deno.test("WornAdapters tells all ranks how much of each adapter a sequence has, and ends it", () => {
  const { worn, tables } = setUp();
  worn.wear(1, [0.5, 2]);
  worn.wear(2, [1]);
  for (const table of tables) assertEquals([...table], [0, 0, 0.5, 2, 1, 0]);
  worn.wear(1);
  for (const table of tables) assertEquals([...table], [0, 0, 0, 0, 1, 0]);
});

Deno.test("WornAdapters has a content before all others for each mix, that of the model for none", () => {
  const { worn } = setUp();
  const model = worn.rootOf();
  assertEquals([worn.wear(0, [0, 0]), worn.rootOf([])], [model, model]);
  const half = worn.rootOf([0.5, 0]);
  assertEquals(worn.wear(2, [0.5]), worn.rootOf([0.5]));
  const roots = [model, half, worn.rootOf([0, 0.5]), worn.rootOf([0.5, 0.5]), worn.rootOf([1, 0])];
  assertEquals(new Set(roots).size, roots.length);
  assert(roots.every((root) => root === model || root < -1));
  assertEquals(worn.rootOf([0.5, 0]), half);
  // Ranks have no more of a number than an f32.
  assertEquals(worn.rootOf([0.1, 0]), worn.rootOf([Math.fround(0.1), 0]));
});

Deno.test("WornAdapters forgets mixes that were not used for long, and gives none a root twice", () => {
  const { worn } = setUp();
  const kept = worn.rootOf([1, 1]);
  const first = worn.rootOf([2, 0]);
  const all = new Set([kept, first]);
  for (let i = 0; i < 1000; i++) {
    all.add(worn.rootOf([3 + i, 0]));
    assertEquals(worn.rootOf([1, 1]), kept);
  }
  assertEquals(all.size, 1002);
  assertNotEquals(worn.rootOf([2, 0]), first);
});

Deno.test("mixOf() is a name of its own for so much of each adapter", () => {
  assertEquals([mixOf(), mixOf([]), mixOf([0, -0])], ["", "", ""]);
  assertNotEquals(mixOf([1, 11]), mixOf([11, 1]));
  assertNotEquals(mixOf([1]), mixOf([-1]));
});
