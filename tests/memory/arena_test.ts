import { assert, assertEquals, assertThrows } from "@std/assert";
import { ArenaBuilder, bytesByKind, PAGE_BYTES } from "../../src/memory/arena.ts";

Deno.test("ArenaBuilder places regions side by side, aligned, and away from address 0", () => {
  const arena = new ArenaBuilder();
  const a = arena.allocate("a", "weights", 100);
  const b = arena.allocate("b", "kv", 1);
  const c = arena.allocate("c", "activations", 0);
  assert(a > 0);
  for (const offset of [a, b, c]) assertEquals(offset % 64, 0);
  assert(b >= a + 100 && c >= b + 1);
  const plan = arena.build();
  assertEquals(plan.pageCount, 1);
  assertEquals(bytesByKind([plan, plan]), { weights: 200, slots: 0, kv: 2, activations: 0 });
});

Deno.test("ArenaBuilder.reset() forgets what was placed since the mark", () => {
  const arena = new ArenaBuilder();
  arena.allocate("kept", "weights", 64);
  const mark = arena.mark();
  const first = arena.allocate("dropped", "weights", 5 * PAGE_BYTES);
  arena.reset(mark);
  assertEquals(arena.allocate("again", "weights", 1), first);
  assertEquals(arena.build().regions.map((region) => region.name), ["kept", "again"]);
});

Deno.test("ArenaBuilder refuses sizes that are no sizes", () => {
  for (const size of [-1, 0.5, NaN, 2 ** 60]) {
    assertThrows(() => new ArenaBuilder().allocate("x", "kv", size), Error, "region x");
  }
});
