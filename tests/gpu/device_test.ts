/** Opening a GPU, its memory, and what happens when it goes away. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  createKvCache,
  createReadBack,
  createStepInput,
  destroyKvCache,
  type Gpu,
  GpuLostError,
  GpuOutOfMemoryError,
  GpuUnavailableError,
  openGpu,
  ProgramBuilder,
  scaleRows,
} from "../../gpu/mod.ts";
import { gpuTest, missingGpu } from "../support/gpu.ts";

const LIMITS = {
  maxStorageBufferBindingSize: 2 ** 27,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
};

/** A WebGPU whose only adapter is made up. */
function sourceOf(adapter: { info?: object; limits?: object; requestDevice?: () => unknown }) {
  const info = { isFallbackAdapter: false, device: "", description: "Rocket 9000" };
  const whole = {
    info: { ...info, ...adapter.info },
    limits: { ...LIMITS, ...adapter.limits },
    features: new Set<string>(),
    requestDevice: adapter.requestDevice ?? (() => Promise.reject(new Error("no device"))),
  };
  return { requestAdapter: () => Promise.resolve(whole as unknown as GPUAdapter) };
}

Deno.test("openGpu() opens what the runtime has an adapter of", async () => {
  // No test but this one fails when openGpu() refuses every adapter: all that need it are ignored.
  const adapter = await navigator.gpu?.requestAdapter();
  assertEquals(missingGpu === null, Boolean(adapter), missingGpu ?? "");
});

Deno.test("openGpu() says what is missing and what to do where there is no adapter", async () => {
  const source = { requestAdapter: () => Promise.resolve(null) };
  const error = await assertRejects(() => openGpu({ source }), GpuUnavailableError, "no driver");
  assert(error.message.includes("mesa-vulkan-drivers") && error.message.includes("--gpu off"));
});

Deno.test("openGpu() turns a driver that throws into GpuUnavailableError", async () => {
  const source = { requestAdapter: () => Promise.reject(new Error("it fell over")) };
  await assertRejects(() => openGpu({ source }), GpuUnavailableError, "it fell over");
});

Deno.test("openGpu() takes no software adapter unless it is asked to", async () => {
  for (
    const info of [{ isFallbackAdapter: true }, { description: "llvmpipe (LLVM 15)" }, {
      device: "SwiftShader Device",
    }]
  ) {
    const source = sourceOf({ info });
    await assertRejects(() => openGpu({ source }), GpuUnavailableError, "is software");
    const asked = () => openGpu({ source, adapter: "fallback-allowed" });
    await assertRejects(asked, GpuUnavailableError, "gives no device: no device");
  }
});

Deno.test("openGpu() refuses an adapter whose limits are too small, by name", async () => {
  const source = sourceOf({ limits: { maxComputeWorkgroupStorageSize: 8192 } });
  const open = () => openGpu({ source });
  await assertRejects(open, GpuUnavailableError, "maxComputeWorkgroupStorageSize is 8192");
});

gpuTest("createBuffer() refuses what is too large for a binding, with a cure", async (gpu) => {
  const before = gpu.allocatedBytes;
  const create = () => gpu.createBuffer("huge cache", gpu.limits.maxStorageBufferBindingSize + 4);
  const error = await assertRejects(create, GpuOutOfMemoryError, `"huge cache"`);
  assert(error.message.includes("shorter context"), error.message);
  assertEquals(gpu.allocatedBytes, before);
});

gpuTest("allocatedBytes counts what is made and given back", async (gpu) => {
  const before = gpu.allocatedBytes;
  const shape = { positions: 10, kvHeads: 2, headDim: 8, type: "f16" } as const;
  const cache = await createKvCache(gpu, "cache", shape);
  assertEquals(gpu.allocatedBytes - before, cache.bytes);
  assertEquals(cache.bytes, 2 * 32 * 2 * 8 * 2, "a whole block of positions");
  destroyKvCache(gpu, cache);
  assertEquals(gpu.allocatedBytes, before);
});

gpuTest("createKvCache() gives buffers that nothing can be copied from or to", async (gpu) => {
  const shape = { positions: 10, kvHeads: 2, headDim: 8, type: "f32" } as const;
  const cache = await createKvCache(gpu, "cache", shape);
  assertEquals(cache.keys.usage, GPUBufferUsage.STORAGE);
  assertEquals(cache.values.usage, GPUBufferUsage.STORAGE);
  destroyKvCache(gpu, cache);
});

/** A program that doubles four numbers, and what it needs. */
async function makeDoubling(gpu: Gpu) {
  const input = await createStepInput(gpu, { maxTokens: 1, ropes: [] });
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const buffer = await gpu.createBuffer("numbers", 16, usage);
  const builder = new ProgramBuilder(gpu, input);
  const x = { buffer, offsetBytes: 0, sizeBytes: 16, stride: 4 };
  scaleRows(builder, { x, width: 4, scale: 2 });
  const step = { n: 1, position: 0, m: 0 };
  const program = await builder.build([step]);
  const back = await createReadBack(gpu, 16);
  const run = () => {
    input.write(step, null);
    program.run(step, { to: back, from: buffer, offsetBytes: 0, bytes: 16 });
  };
  return { run, back, buffer };
}

gpuTest(
  "a device that is destroyed ends waits with a clear error, and others work",
  async (own) => {
    const gpu = await openGpu({ adapter: "fallback-allowed" });
    const { run, back } = await makeDoubling(gpu);
    const out = new Float32Array(4);
    run();
    back.readInto(out);
    run();
    gpu.device.destroy();
    assertThrows(() => back.readInto(out), GpuLostError, "failed");
    assertThrows(() => gpu.drain(), GpuLostError, "failed");
    await assertRejects(() => back.readIntoLater(out), GpuLostError);
    const reason = await gpu.lost;
    assert(reason.includes("lost"), reason);
    assertThrows(run, GpuLostError, "the GPU was lost");
    await assertRejects(() => gpu.drained(), GpuLostError, "try again");

    const again = await openGpu({ adapter: "fallback-allowed" });
    const next = await makeDoubling(again);
    again.write(next.buffer, 0, Float32Array.of(1, 2, 3, 4));
    next.run();
    next.back.readInto(out);
    assertEquals([...out], [2, 4, 6, 8]);
    again.close();
    assertEquals(own.failure, null);
  },
);

gpuTest("what WebGPU refuses behind one's back reaches whoever runs next", async () => {
  const gpu = await openGpu({ adapter: "fallback-allowed" });
  const { run } = await makeDoubling(gpu);
  const encoder = gpu.device.createCommandEncoder();
  encoder.copyBufferToBuffer(gpu.nothing, 0, gpu.nothing, 0, 1024);
  gpu.device.queue.submit([encoder.finish()]);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertThrows(run, GpuLostError, "failed");
  gpu.close();
});
