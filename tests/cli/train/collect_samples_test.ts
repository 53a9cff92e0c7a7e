import { assertEquals } from "@std/assert";
import { cutWindows, planPasses } from "../../../src/cli/train/collect_samples.ts";

Deno.test("cutWindows() begins each window with BOS, whose token gives no sample", () => {
  const ids = [10, 11, 12, 13, 14, 15, 16];
  const cut = (samples: number, bosId: number | null) =>
    cutWindows(ids, { length: 4, samples, bosId });
  assertEquals(cut(100, 1), {
    ids: [[1, 10, 11, 12], [1, 13, 14, 15], [1, 16]],
    sampleCount: 7,
  });
  assertEquals(cut(5, 1), { ids: [[1, 10, 11, 12], [1, 13, 14]], sampleCount: 5 });
  assertEquals(cut(100, null), { ids: [[10, 11, 12, 13], [14, 15, 16]], sampleCount: 5 });
  assertEquals(cutWindows([], { length: 4, samples: 9, bosId: 1 }), { ids: [], sampleCount: 0 });
});

Deno.test("planPasses() takes as many passes as memory asks for, of like size", () => {
  const model = {
    ...{ layerCount: 7, inputLength: 32, neuronCount: 64, contextLength: 64 },
    ...{ gateRowBytes: [], types: [] },
  };
  // A layer's samples take 100 · (64 + 8) bytes.
  const passes = (bytes: number) => planPasses(model, { samples: 100, bytes });
  assertEquals(passes(1 << 20), [{ first: 0, count: 7 }]);
  assertEquals(passes(4 * 7200), [{ first: 0, count: 3 }, { first: 3, count: 4 }]);
  assertEquals(passes(1).length, 7);
});
