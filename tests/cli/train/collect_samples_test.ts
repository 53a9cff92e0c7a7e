import { assertEquals, assertRejects } from "@std/assert";
import { collectSamples, cutWindows, planPasses } from "../../../src/cli/train/collect_samples.ts";
import type { LayerObservation } from "../../../src/llm/mod.ts";
import { dequantize } from "../../../src/model/mod.ts";

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

/** Shows ids as they are: of layer l, neuron 0 fires where the id is even, neuron 1 in odd l. */
const PARROT = {
  async *observe(ids: readonly number[]): AsyncGenerator<LayerObservation, void> {
    for (let firstToken = 0; firstToken < ids.length; firstToken += 2) {
      const some = ids.slice(firstToken, firstToken + 2);
      for (let layer = 0; layer < 3; layer++) {
        await Promise.resolve();
        yield {
          ...{ layer, firstToken, tokens: some.length, gate: new Float32Array(0) },
          residual: Float32Array.from(some.flatMap((id) => [id, 0])),
          fired: Uint8Array.from(some.flatMap((id) => [1 - id % 2, layer % 2])),
        };
      }
    }
  },
};
const PARROT_MODEL = {
  ...{ layerCount: 3, inputLength: 2, neuronCount: 2, contextLength: 4 },
  ...{ gateRowBytes: [], types: [] },
};

Deno.test("collectSamples() keeps the layers of the range, without first tokens", async () => {
  const windows = { ids: [[9, 2, 3], [9, 5]], sampleCount: 3 };
  const seen: number[] = [];
  const samples = await collectSamples(PARROT, windows, {
    layers: { first: 1, count: 2 },
    trainable: PARROT_MODEL,
    signal: new AbortController().signal,
    onProgress: (tokens) => seen.push(tokens),
  });
  assertEquals(samples.map(({ count }) => count), [3, 3]);
  assertEquals(samples.map(({ fired }) => [...fired]), [[0b11, 0b10, 0b10], [0b01, 0, 0]]);
  const inputs = dequantize("F16", new Uint8Array(samples[0].inputs.buffer.slice(0)));
  assertEquals(
    inputs.map((value) => Math.round(value * 100)),
    Float32Array.of(141, 0, 141, 0, 141, 0),
  );
  assertEquals(seen, [2, 3, 5]);
});

Deno.test("collectSamples() ends when its signal is aborted", async () => {
  const windows = { ids: [[9, 2, 3]], sampleCount: 2 };
  await assertRejects(
    () =>
      collectSamples(PARROT, windows, {
        layers: { first: 0, count: 3 },
        trainable: PARROT_MODEL,
        signal: AbortSignal.abort(new Error("enough")),
        onProgress() {},
      }),
    Error,
    "enough",
  );
});
