/** Short convolutions with the rows that they keep of sequences. */
import { assertEquals } from "@std/assert";
import { createConvolutionRows, type Gpu, shortConvolution } from "../../../gpu/mod.ts";
import { shortConvolution as referenceConvolution } from "../../../src/reference/convolution.ts";
import { runStep, type TestSequence } from "../../support/gpu.ts";
import { assertNear, normals } from "./compare.ts";
import type { GpuCase } from "./types.ts";

interface Shape {
  readonly width: number;
  readonly taps: number;
}

/** The most tokens of a step: rings are short, so that they are gone through more than once. */
const TOKENS = 20;
const CONTEXT = 128;
const BLOCKS = CONTEXT / 32;

/** A layer's weights and what it keeps of two sequences, whose blocks are never in order. */
async function openLayer(gpu: Gpu, { width, taps }: Shape) {
  const values = normals(1, width * taps);
  const shape = { width, taps, sequences: 2, blocks: 2 * BLOCKS, tokens: TOKENS };
  const kept = await createConvolutionRows(gpu, "layer", shape);
  const weights = await gpu.createVector("weights", values);
  const run = async (
    x: Float32Array,
    { n, position, sequences }: { n: number; position?: number; sequences?: TestSequence[] },
  ) =>
    await runStep(gpu, {
      ...{ n, position, sequences, contextLength: CONTEXT },
      rows: {
        x: { values: x, width: 3 * width },
        to: { values: new Float32Array(n * width), width },
      },
      build: (builder, { x, to }) => shortConvolution(builder, { x, to, weights, kept }),
      read: "to",
    });
  const close = () =>
    [weights, kept.rings, kept.ends].forEach((buffer) => gpu.destroyBuffer(buffer));
  return { run, weights: values, close };
}

/** What the formula makes of a text's inputs, [n, 3 · width]: its last `count` rows. */
function expectedOf(x: Float32Array, weights: Float32Array, { width }: Shape, count: number) {
  const n = x.length / (3 * width);
  const part = (index: number, first: number) =>
    Float64Array.from(
      { length: (n - first) * width },
      (_, i) => x[(first + Math.floor(i / width)) * 3 * width + index * width + i % width],
    );
  const values = part(2, 0);
  return referenceConvolution({
    x: part(1, 0).map((key, i) => key * values[i]),
    gate: part(0, n - count),
    weights,
  }, { p0: n - count, channels: width });
}

/** Steps of a text one after another; one may begin where the text has been already. */
const checkSteps =
  (shape: Shape, steps: readonly (readonly [position: number, n: number])[]): GpuCase["run"] =>
  async (gpu) => {
    const columns = 3 * shape.width;
    const { run, weights, close } = await openLayer(gpu, shape);
    let text = new Float32Array(0);
    for (const [index, [position, n]] of steps.entries()) {
      const x = normals(10 + index, n * columns);
      text = Float32Array.of(...text.subarray(0, position * columns), ...x);
      const actual = await run(x, { n, position });
      const expected = expectedOf(text, weights, shape, n);
      assertNear(`${JSON.stringify(shape)}, ${n} at ${position}`, actual, expected, 1e-4);
    }
    close();
  };

/** Another sequence goes on behind a block of the first one; both are as they would be alone. */
async function checkTakenOver(gpu: Gpu): Promise<void> {
  const shape = { width: 68, taps: 4 };
  const columns = 3 * shape.width;
  const { run, weights, close } = await openLayer(gpu, shape);
  const own = (slot: number) =>
    Array.from({ length: BLOCKS }, (_, i) => 2 * (BLOCKS - 1 - i) + slot);
  const first = { position: 0, blocks: own(0) };
  const text = normals(2, 55 * columns);
  for (const [position, end] of [[0, 20], [20, 37], [37, 55]]) {
    const x = text.slice(position * columns, end * columns);
    await run(x, { n: end - position, sequences: [{ ...first, position }] });
  }
  const texts = [text, text.slice(0, 32 * columns)];
  const second = { position: 32, blocks: [own(0)[0], ...own(1).slice(1)] };
  for (let step = 0; step < 12; step++) {
    const x = normals(3 + step, 2 * columns);
    // The same rows of their rings, which have 23.
    const positions = [55 + step, 32 + step];
    const [one, other] = [first, second].map((each, slot) => {
      return { ...each, position: positions[slot] };
    });
    const both = await run(x, { n: 2, sequences: [one, other] });
    for (const slot of [0, 1]) {
      const row = x.subarray(slot * columns, (slot + 1) * columns);
      texts[slot] = Float32Array.of(...texts[slot], ...row);
      const actual = both.subarray(slot * shape.width, (slot + 1) * shape.width);
      const expected = expectedOf(texts[slot], weights, shape, 1);
      assertNear(`sequence ${slot} at ${positions[slot]}`, actual, expected, 1e-4);
    }
    const alone = await run(x.slice(0, columns), { n: 1, sequences: [one] });
    assertEquals(both.slice(0, shape.width), alone, "the bits that it has alone");
  }
  close();
}

export const convolutionCases: readonly GpuCase[] = [
  {
    kernels: ["short_convolution"],
    name: "shortConvolution() goes on behind the rows of earlier steps, also where it goes back",
    run: async (gpu) => {
      const steps = [[0, 1], [1, 1], [2, 5], [7, 20], [27, 3], [30, 20], [50, 20], [70, 1], [
        71,
        1,
      ]] as const;
      const back = [[66, 6], [56, 16], [63, 2]] as const;
      const all = [...steps, ...back];
      await checkSteps({ width: 68, taps: 3 }, all)(gpu);
      await checkSteps({ width: 4, taps: 2 }, all)(gpu);
      await checkSteps({ width: 128, taps: 9 }, all)(gpu);
    },
  },
  {
    kernels: ["short_convolution"],
    name: "shortConvolution() goes on behind a block that another sequence has computed",
    run: checkTakenOver,
  },
];
