import { assert, assertEquals, assertLess } from "@std/assert";
import { MiB } from "../../src/base/units.ts";
import { FreedMemory } from "../../src/memory/freed_memory.ts";
import { assertSoon } from "../support/assert_soon.ts";

const SIZE_BYTES = 160 * MiB;

Deno.test("FreedMemory.collect() gives memory back that nobody holds any more", async () => {
  const freed = new FreedMemory();
  for (let round = 0; round < 3; round++) {
    watchSome(freed);
    const before = Deno.memoryUsage().rss;
    assert(await freed.collect(), `${round}`);
    // V8 unmaps beside this thread.
    const isLess = () => before - Deno.memoryUsage().rss > SIZE_BYTES / 2;
    await assertSoon(() => Promise.resolve(isLess()), true);
  }
});

Deno.test("FreedMemory.collect() comes back while somebody holds a memory, and says so", async () => {
  const freed = new FreedMemory();
  const held = someMemory();
  freed.watch(held);
  const startMs = performance.now();
  assertEquals(await freed.collect(), false);
  assertLess(performance.now() - startMs, 5_000);
  assertEquals(new Uint8Array(held.buffer)[SIZE_BYTES - 1], 1);
});

Deno.test("FreedMemory.collect() leaves what is small to V8", async () => {
  const freed = new FreedMemory();
  assertEquals(await freed.collect(), true);
  freed.watch(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }));
  const { external } = Deno.memoryUsage();
  assertEquals(await freed.collect(), false);
  assertLess(Deno.memoryUsage().external - external, MiB);
});

/** A function of its own: what it made is garbage when it returns. */
function watchSome(freed: FreedMemory): void {
  freed.watch(someMemory());
}

/** Touched: the system has given all of it. */
function someMemory(): WebAssembly.Memory {
  const pages = SIZE_BYTES / 65536;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  new Uint8Array(memory.buffer).fill(1);
  return memory;
}
