import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { dequantize } from "../../src/model/mod.ts";
import { SampleRecorder, splitSamples } from "../../src/train/mod.ts";
import { firingRates } from "../../src/train/samples.ts";

const flags = (...fired: number[]) =>
  Uint8Array.from({ length: 10 }, (_, j) => fired.includes(j) ? 1 : 0);

Deno.test("SampleRecorder.add() keeps an input's direction, not its size", () => {
  const size = { inputLength: 4, neuronCount: 10, blockCount: 1, usedCount: 1 };
  const recorder = new SampleRecorder(size, 3);
  recorder.add(Float32Array.of(300, -300, 300, 300), flags(0, 2, 9));
  recorder.add(Float32Array.of(0, 0, 0, 0), flags());
  recorder.add(Float32Array.of(NaN, 0, 0, 0), flags(0));
  assert(recorder.isFull);
  recorder.add(Float32Array.of(9, 9, 9, 9), flags());
  const [samples] = recorder.samples();
  const inputs = dequantize("F16", new Uint8Array(samples.inputs.buffer.slice(0)));
  assertEquals([...inputs], [1, -1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  assertEquals([samples.count, samples.fired.length], [3, 6]);
  const rates = firingRates(samples, Int32Array.of(0, 2));
  assertEquals([...rates], [1, 0, 0.5, 0, 0, 0, 0, 0, 0, 0.5]);
});

Deno.test("splitSamples() holds back whole stretches, 5 % in all", () => {
  for (const count of [640, 1000, 20_000]) {
    const { training, validation } = splitSamples(count);
    const all = [...training, ...validation].sort((a, b) => a - b);
    assertEquals(all, Array.from({ length: count }, (_, i) => i));
    assertAlmostEquals(validation.length / count, 0.05, 0.015);
  }
  const { validation } = splitSamples(20_000);
  assertEquals([validation[0], validation[127], validation[128]], [2432, 2559, 4992]);
});

Deno.test("splitSamples() holds back more of few samples, a quarter at most", () => {
  for (const [count, share] of [[8, 0.25], [64, 0.25], [128, 0.25], [320, 0.1]]) {
    const { training, validation } = splitSamples(count);
    assertEquals(training.length + validation.length, count);
    assertAlmostEquals(validation.length / count, share, 0.02, `of ${count}`);
  }
});

Deno.test("SampleRecorder gives an expert the tokens that chose it, and no others", () => {
  const size = { inputLength: 2, neuronCount: 3, blockCount: 4, usedCount: 2 };
  const recorder = new SampleRecorder(size, 3);
  const add = (x: number, chosen: readonly [number, number]) => {
    // Of expert e, neuron 0 fires, and neuron 1 where e is odd; of others nothing may be kept.
    const fired = Uint8Array.from({ length: 12 }, (_, j) => {
      const [e, neuron] = [Math.floor(j / 3), j % 3];
      return !chosen.includes(e) || neuron === 0 || neuron === 1 && e % 2 === 1 ? 1 : 0;
    });
    const marks = Uint8Array.from({ length: 4 }, (_, e) => chosen.includes(e) ? 1 : 0);
    recorder.add(Float32Array.of(x, 2), fired, marks);
  };
  add(2, [0, 3]);
  add(-2, [1, 3]);
  add(4, [0, 1]);
  const experts = recorder.samples();
  assertEquals(experts.map(({ count }) => count), [2, 2, 0, 2]);
  assertEquals(experts.map(({ inputRows }) => [...inputRows]), [[0, 2], [1, 2], [], [0, 1]]);
  const rates = experts.map((each) =>
    firingRates(each, Int32Array.from({ length: each.count }, (_, i) => i))
  );
  assertEquals(rates.map((each) => [...each]), [[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 0]]);
});
