/** Matrices that take turns in two sets of buffers. */
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import {
  createMatrix,
  createWeightStream,
  type Gpu,
  type GpuMatrix,
  GpuOutOfMemoryError,
  matmul,
  openGpu,
} from "../../gpu/mod.ts";
import { encodeWeights } from "../../src/quantize/mod.ts";
import { gpuTest, runStep } from "../support/gpu.ts";
import { normals } from "./cases/compare.ts";

const COLUMNS = 64;
/** Layers of other types and sizes share the buffers; an odd number: the first comes in turn. */
const LAYERS = [
  [{ type: "Q4_0", rows: 40 }, { type: "Q8_0", rows: 8 }],
  [{ type: "Q4_0", rows: 12 }, { type: "F32", rows: 24 }],
  [{ type: "F32", rows: 20 }],
  [{ type: "Q8_0", rows: 36 }, { type: "Q4_0", rows: 4 }],
  [{ type: "Q4_K", rows: 4, columns: 256 }, { type: "F16", rows: 8 }],
] as const;

type Type = (typeof LAYERS)[number][number]["type"];
const SHAPES = LAYERS.map((layer) =>
  layer.map((of): { type: Type; rows: number; columns: number } => ({ columns: COLUMNS, ...of }))
);

const bytesOf = (layer: number, index: number) => {
  const { type, rows, columns } = SHAPES[layer][index];
  return encodeWeights(type, normals(10 * layer + index, rows * columns));
};

function multiply(gpu: Gpu, matrix: GpuMatrix): Promise<Float32Array> {
  const { rows, columns } = matrix;
  return runStep(gpu, {
    n: 9,
    rows: {
      x: { values: normals(99, 9 * columns), width: columns },
      to: { values: new Float32Array(9 * rows), width: rows },
    },
    build: (builder, { x, to }) => matmul(builder, { matrix, x, to }),
    read: "to",
  });
}

gpuTest("a weight stream gives every layer its own weights, round after round", async (gpu) => {
  const stream = await createWeightStream(gpu, SHAPES);
  const streamed: GpuMatrix[][] = [];
  const expected: Float32Array[][] = [];
  for (const [layer, shapes] of SHAPES.entries()) {
    const home = stream.homeOf(layer);
    streamed.push([]);
    expected.push([]);
    for (const [index, shape] of shapes.entries()) {
      const bytes = bytesOf(layer, index);
      const turning = await createMatrix(home, "turning", shape);
      turning.write(bytes, { firstRow: 0 });
      streamed[layer].push(turning);
      const resident = await createMatrix(gpu, "resident", shape);
      resident.write(bytes, { firstRow: 0 });
      expected[layer].push(await multiply(gpu, resident));
      resident.destroy();
    }
  }
  // As prompts do it: all layers in turn; then one that begins in the middle of a round.
  for (const layer of [0, 1, 2, 3, 4, 0, 1, 2, 0, 0, 1, 4, 2]) {
    stream.bring(layer);
    for (const [index, matrix] of streamed[layer].entries()) {
      assertEquals(await multiply(gpu, matrix), expected[layer][index], `${layer}.${index}`);
    }
    stream.bringNext(layer);
  }
});

gpuTest("a weight stream takes room for two layers, and uploads what is not there", async (gpu) => {
  const before = gpu.allocatedBytes;
  const shape = { type: "Q4_0", rows: 32, columns: COLUMNS };
  const stream = await createWeightStream(gpu, [[shape], [shape], [shape], [shape]]);
  const layerBytes = 32 * COLUMNS / 32 * 18;
  assertEquals(gpu.allocatedBytes - before, 2 * layerBytes);
  assertEquals(stream.hostBytes, 4 * layerBytes);
  stream.bring(0);
  stream.bring(1);
  stream.bring(0);
  assertEquals(stream.uploadedBytes, 2 * layerBytes, "both were there");
  stream.bringNext(1);
  stream.bring(2);
  assertEquals(stream.uploadedBytes, 3 * layerBytes, "it had come before");
});

gpuTest("a weight stream never stages more than is taken without a wait", async (gpu) => {
  const shape = { type: "F32", rows: 4096, columns: 1024 }; // 16 MiB
  const stream = await createWeightStream(gpu, [0, 1, 2].map(() => [shape, shape, shape]));
  gpu.submit([]);
  gpu.drain();
  stream.bringNext(2);
  assert(gpu.stagingRoom > 0);
  assertLess(stream.uploadedBytes, 32 * 2 ** 20 + 1);
  assertLess(16 * 2 ** 20, stream.uploadedBytes);
  stream.bring(0);
  assertEquals(stream.uploadedBytes, 48 * 2 ** 20);
});

gpuTest("a GPU gives no more than it may, whatever was given back", async () => {
  const gpu = await openGpu({ adapter: "fallback-allowed", memoryBytes: 1000 });
  const first = await gpu.createBuffer("first", 608);
  const error = await assertRejects(() => gpu.createBuffer("second", 496), GpuOutOfMemoryError);
  assert(error.message.includes("may take") && error.message.includes("second"));
  assertEquals([gpu.allocatedBytes, gpu.peakBytes], [608, 608]);
  gpu.destroyBuffer(first);
  await gpu.createBuffer("second", 496);
  assertEquals([gpu.allocatedBytes, gpu.peakBytes], [496, 608]);
  gpu.close();
});
