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

const DENSE = { isMixture: false, blockCount: 1, usedCount: 1, gateRowBytes: 0 };

Deno.test("planPasses() takes as many passes as memory asks for, of like size", () => {
  const layer = { ...DENSE, inputLength: 32, neuronCount: 64 };
  const model = { layers: Array.from({ length: 7 }, () => layer) };
  // A layer's samples take 100 · (64 + 8 + 16) bytes.
  const all = [0, 1, 2, 3, 4, 5, 6];
  const passes = (bytes: number) => planPasses(model, all, { samples: 100, bytes });
  assertEquals(passes(1 << 20), [all]);
  assertEquals(passes(4 * 8800), [[0, 1, 2], [3, 4, 5, 6]]);
  assertEquals(passes(1).length, 7);
  assertEquals(planPasses(model, [1, 2, 6], { samples: 100, bytes: 2 * 8800 }), [[1], [2, 6]]);
  // The residual stream is kept once, bits for each expert that a token uses.
  const mixture = { layers: [layer, { ...layer, blockCount: 8, usedCount: 2 }] };
  assertEquals(planPasses(mixture, [0, 1], { samples: 100, bytes: 2 * 100 * 112 }).length, 1);
  assertEquals(planPasses(mixture, [0, 1], { samples: 100, bytes: 2 * 100 * 112 - 1 }).length, 2);
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
          chosen: Uint8Array.from(some.flatMap((id) => [id % 2, 1 - id % 2])),
          residual: Float32Array.from(some.flatMap((id) => [id, 0])),
          fired: Uint8Array.from(some.flatMap((id) => [1 - id % 2, layer % 2])),
        };
      }
    }
  },
};
const PARROT_LAYER = { ...DENSE, inputLength: 2, neuronCount: 2 };
const PARROT_MODEL = { layers: [PARROT_LAYER, PARROT_LAYER, PARROT_LAYER], shownNeurons: 2 };

Deno.test("collectSamples() keeps the layers of the range, without first tokens", async () => {
  const windows = { ids: [[9, 2, 3], [9, 5]], sampleCount: 3 };
  const seen: number[] = [];
  const collected = await collectSamples(PARROT, windows, {
    wanted: [1, 2],
    trainable: PARROT_MODEL,
    signal: new AbortController().signal,
    onProgress: (tokens) => seen.push(tokens),
  });
  assertEquals(collected.map((blocks) => blocks.length), [1, 1]);
  const samples = collected.flat();
  assertEquals(samples.map(({ count }) => count), [3, 3]);
  assertEquals(samples.map(({ fired }) => [...fired]), [[0b11, 0b10, 0b10], [0b01, 0, 0]]);
  const inputs = dequantize("F16", new Uint8Array(samples[0].inputs.buffer.slice(0)));
  assertEquals(
    inputs.map((value) => Math.round(value * 100)),
    Float32Array.of(141, 0, 141, 0, 141, 0),
  );
  assertEquals(seen, [2, 3, 5]);
});

Deno.test("collectSamples() gives each expert the tokens that chose it, and shared neurons to none", async () => {
  const layer = { ...PARROT_LAYER, isMixture: true, neuronCount: 1, blockCount: 2 };
  const trainable = { layers: [PARROT_LAYER, layer, PARROT_LAYER], shownNeurons: 3 };
  const parrot = {
    async *observe(ids: readonly number[]): AsyncGenerator<LayerObservation, void> {
      for await (const { fired, ...seen } of PARROT.observe(ids)) {
        // A shared neuron behind those of experts, which fires where expert 0's does not.
        const shown = Array.from({ length: seen.tokens }, (_, t) => {
          const [first, second] = fired.subarray(2 * t);
          return [first, second, 1 - first];
        });
        yield { ...seen, fired: Uint8Array.from(shown.flat()) };
      }
    },
  };
  const windows = { ids: [[9, 2, 3], [9, 5]], sampleCount: 3 };
  const [, mixture] = await collectSamples(parrot, windows, {
    ...{ wanted: [0, 1, 2], trainable },
    signal: new AbortController().signal,
    onProgress() {},
  });
  // Expert 0 has odd ids, expert 1 even ones: neuron 0 fires where ids are even, 1 in odd layers.
  assertEquals(mixture.map(({ inputRows }) => [...inputRows]), [[1, 2], [0]]);
  assertEquals(mixture.map(({ fired, firedRows }) => [...firedRows].map((row) => fired[row])), [
    [0, 0],
    [1],
  ]);
});

Deno.test("collectSamples() ends when its signal is aborted", async () => {
  const windows = { ids: [[9, 2, 3]], sampleCount: 2 };
  await assertRejects(
    () =>
      collectSamples(PARROT, windows, {
        wanted: [0, 1, 2],
        trainable: PARROT_MODEL,
        signal: AbortSignal.abort(new Error("enough")),
        onProgress() {},
      }),
    Error,
    "enough",
  );
});
