import { assertEquals } from "@std/assert";
import { between, type NeuronLook, total } from "../../../src/page/server/neurons.ts";

function look(atMs: number, ...neurons: number[]): NeuronLook {
  const layers = neurons.map((count) => ({
    ...{ neurons: count, hot: count / 10, cold: count / 5, skipped: 7 * count / 10 },
    ...{ cacheHits: 3, cacheMisses: 2, diskReads: 1, diskBytes: count },
  }));
  return { model: "m", isSparse: true, isStreamed: true, atMs, layers };
}

Deno.test("between() is what came to each layer from one look to the next", () => {
  const sample = between(look(100, 10, 20), look(600, 40, 30))!;
  assertEquals([sample.ms, sample.layers.map(({ neurons }) => neurons)], [500, [30, 10]]);
  const { neurons, hot, skipped, cacheHits } = total(sample.layers);
  assertEquals([neurons, hot, skipped, cacheHits], [40, 4, 28, 0]);
});

Deno.test("between() is null of another model, and of one that was loaded anew", () => {
  assertEquals(between(look(0, 10), look(1, 5)), null);
  assertEquals(between(look(0, 10), look(1, 10, 20)), null);
  assertEquals(between(look(0, 10), { ...look(1, 20), model: "n" }), null);
});
