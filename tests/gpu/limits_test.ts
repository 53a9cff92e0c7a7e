/** What a GPU allows in one piece, and what happens where it has no more room. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  createMatrix,
  createWeightStream,
  type Gpu,
  GpuOutOfMemoryError,
  matmul,
  type MatrixHome,
  openGpu,
} from "../../gpu/mod.ts";
import { encodeWeights } from "../../src/quantize/mod.ts";
import { COUNTERS_MAX } from "../../gpu/device.ts";
import { gpuTest, runStep } from "../support/gpu.ts";
import { normals } from "./cases/compare.ts";

/** The same home, but of pieces of at most so many bytes. */
function allowing(bytes: number, gpu: Gpu): MatrixHome {
  const limits = { maxBufferSize: 2 * bytes, maxStorageBufferBindingSize: bytes };
  return {
    limits,
    nothing: gpu.nothing,
    createBuffer(label, size) {
      assert(size <= bytes, `${label} of ${size} bytes`);
      return gpu.createBuffer(label, size);
    },
    destroyBuffer: (buffer) => gpu.destroyBuffer(buffer),
    write: (buffer, offsetBytes, data) => gpu.write(buffer, offsetBytes, data),
  };
}

Deno.test("createMatrix() refuses a row that is larger than a GPU's pieces, at once", async () => {
  const refuse = (): never => {
    throw new Error("no buffer is asked for");
  };
  const nowhere = { nothing: {} as GPUBuffer, createBuffer: refuse, write: refuse };
  const homeOf = (limits: MatrixHome["limits"]) => ({ ...nowhere, limits, destroyBuffer: refuse });
  const shape = { type: "F32", rows: 3, columns: 1024 };
  for (const [maxBufferSize, maxStorageBufferBindingSize] of [[4095, 1e9], [1e9, 4092]]) {
    const home = homeOf({ maxBufferSize, maxStorageBufferBindingSize });
    const make = () => createMatrix(home, "blk.0.huge", shape);
    const { message } = await assertRejects(make, GpuOutOfMemoryError, `"blk.0.huge"`);
    assertStringIncludes(
      message,
      `4096 bytes, and the GPU allows ${Math.min(4095, maxStorageBufferBindingSize)}`,
    );
    assertStringIncludes(message, "--gpu off");
  }
});

gpuTest("createWeightStream() refuses a row that is larger than a GPU's pieces", async (gpu) => {
  const limits = { maxBufferSize: 1000, maxStorageBufferBindingSize: 1000 };
  const small = new Proxy(gpu, {
    get: (of, key) => key === "limits" ? limits : Reflect.get(of, key),
  });
  const make = () => createWeightStream(small, [[{ type: "F32", rows: 1, columns: 256 }]]);
  await assertRejects(make, GpuOutOfMemoryError, "1024 bytes");
});

gpuTest("a matrix that no buffer could hold lies in several, and gives the same", async (gpu) => {
  const shape = { type: "Q4_0", rows: 45, columns: 128 };
  const bytes = encodeWeights("Q4_0", normals(1, shape.rows * shape.columns));
  for (const [most, count] of [[64 * 8 + 7, 6], [2 ** 20, 1]]) {
    const matrix = await createMatrix(allowing(most, gpu), "cut", shape);
    assertEquals(matrix.parts.length, count);
    matrix.write(bytes.subarray(0, 10 * 72), { firstRow: 0 });
    matrix.write(bytes.subarray(10 * 72), { firstRow: 10 });
    const whole = await createMatrix(gpu, "whole", shape);
    whole.write(bytes, { firstRow: 0 });
    for (const n of [1, 9]) {
      const multiply = (by: typeof matrix) =>
        runStep(gpu, {
          n,
          rows: {
            x: { values: normals(2, n * shape.columns), width: shape.columns },
            to: { values: new Float32Array(n * shape.rows), width: shape.rows },
          },
          build: (builder, { x, to }) => matmul(builder, { matrix: by, x, to }),
          read: "to",
        });
      assertEquals(await multiply(matrix), await multiply(whole), `${n} tokens, ${count} parts`);
    }
    matrix.destroy();
    whole.destroy();
  }
});

/** The runtime's GPU, on a device that has room for so many bytes of buffers. */
function crampedSource(roomBytes: number) {
  const scopes: { filter: string; isFull: boolean }[] = [];
  let used = 0;
  const refused: GPUBuffer[] = [];
  const own = (device: GPUDevice) => ({
    pushErrorScope(filter: GPUErrorFilter) {
      scopes.push({ filter, isFull: false });
      device.pushErrorScope(filter);
    },
    async popErrorScope() {
      const { isFull } = scopes.pop()!;
      const error = await device.popErrorScope();
      return isFull ? new GPUOutOfMemoryError("Not enough memory left") : error;
    },
    createBuffer(descriptor: GPUBufferDescriptor) {
      const buffer = device.createBuffer(descriptor);
      const scope = scopes.findLast(({ filter }) => filter === "out-of-memory");
      if (scope !== undefined && used + descriptor.size > roomBytes) {
        scope.isFull = true;
        refused.push(buffer);
        return buffer;
      }
      used += descriptor.size;
      const destroy = buffer.destroy.bind(buffer);
      buffer.destroy = () => {
        used -= descriptor.size;
        destroy();
      };
      return buffer;
    },
  });
  const source = {
    async requestAdapter() {
      const adapter = await navigator.gpu.requestAdapter();
      return adapter && standingIn(adapter, {
        requestDevice: async (asked?: GPUDeviceDescriptor) => {
          const device = await adapter.requestDevice(asked);
          return standingIn(device, own(device));
        },
      });
    },
  };
  return { source, refused, usedBytes: () => used };
}

/** An object of the runtime, some of whose methods are others. */
function standingIn<T extends object>(of: T, own: object): T {
  return new Proxy(of, {
    get(target, key) {
      if (key in own) return Reflect.get(own, key);
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

gpuTest("createBuffer() tells a GPU that is full from one that is lost", async (other) => {
  const { source, refused, usedBytes } = crampedSource(4 * COUNTERS_MAX + 10_000);
  const gpu = await openGpu({ adapter: "fallback-allowed", source });
  const before = { allocated: gpu.allocatedBytes, used: usedBytes() };
  const { message } = await assertRejects(
    () => gpu.createBuffer("blk.9.ffn_up", 20_000),
    GpuOutOfMemoryError,
    `"blk.9.ffn_up"`,
  );
  assertStringIncludes(message, "Not enough memory left");
  assertStringIncludes(message, "fewer layers on the GPU");
  assertEquals(refused.length, 1);
  assertEquals([gpu.failure, other.failure], [null, null], "it is asked again for less");
  assertEquals({ allocated: gpu.allocatedBytes, used: usedBytes() }, before);
  // A matrix whose second buffer finds no room gives the first one back.
  const shape = { type: "Q4_0", rows: 100, columns: 160 };
  await assertRejects(() => createMatrix(gpu, "cut off", shape), GpuOutOfMemoryError, "factors");
  assertEquals({ allocated: gpu.allocatedBytes, used: usedBytes() }, before);
  const matrix = await createMatrix(gpu, "smaller", { ...shape, rows: 50 });
  matrix.write(encodeWeights("Q4_0", normals(3, 50 * 160)), { firstRow: 0 });
  gpu.drain();
  gpu.assertWell();
  gpu.close();
});
