import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { dequantize } from "../../src/model/mod.ts";
import { SampleRecorder, splitSamples } from "../../src/train/mod.ts";
import { firingRates } from "../../src/train/samples.ts";

const flags = (...fired: number[]) =>
  Uint8Array.from({ length: 10 }, (_, j) => fired.includes(j) ? 1 : 0);

Deno.test("SampleRecorder.add() keeps an input's direction, not its size", () => {
  const recorder = new SampleRecorder({ inputLength: 4, neuronCount: 10, room: 3 });
  recorder.add(Float32Array.of(300, -300, 300, 300), flags(0, 2, 9));
  recorder.add(Float32Array.of(0, 0, 0, 0), flags());
  recorder.add(Float32Array.of(NaN, 0, 0, 0), flags(0));
  assert(recorder.isFull);
  recorder.add(Float32Array.of(9, 9, 9, 9), flags());
  const samples = recorder.samples();
  const inputs = dequantize("F16", new Uint8Array(samples.inputs.buffer.slice(0)));
  assertEquals([...inputs], [1, -1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  assertEquals([samples.count, samples.fired.length], [3, 6]);
  const rates = firingRates(samples, Int32Array.of(0, 2));
  assertEquals([...rates], [1, 0, 0.5, 0, 0, 0, 0, 0, 0, 0.5]);
});

Deno.test("splitSamples() holds back whole stretches, 5 % in all", () => {
  for (const count of [64, 1000, 20_000]) {
    const { training, validation } = splitSamples(count);
    const all = [...training, ...validation].sort((a, b) => a - b);
    assertEquals(all, Array.from({ length: count }, (_, i) => i));
    assertAlmostEquals(validation.length / count, 0.05, 0.015);
  }
  const { validation } = splitSamples(20_000);
  assertEquals([validation[0], validation[127], validation[128]], [2432, 2559, 4992]);
});
