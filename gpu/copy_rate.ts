/** How fast a GPU copies within its memory: the roof of everything that reads weights once. */
import type { Gpu } from "./device.ts";

const WORKGROUPS = 8192;
const COPY = `
@group(0) @binding(0) var<storage, read> a: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> b: array<vec4<u32>>;
@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  for (var i = id.x; i < arrayLength(&b); i += ${256 * WORKGROUPS}u) { b[i] = a[i]; }
}`;

/** Copies of a measurement, beyond one. */
const REPEATS = 16;
const ROUNDS = 5;

/** GB/s, read and written. */
export interface CopyRates {
  /** By `copyBufferToBuffer`, which some drivers do slowly: 850 of 2,900 on an H100. */
  readonly driver: number;
  readonly shader: number;
}

/** Copies `bytes` (by 16) again and again. @throws {GpuOutOfMemoryError} */
export async function measureCopyRates(gpu: Gpu, bytes: number): Promise<CopyRates> {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const from = await gpu.createBuffer("copied", bytes, usage);
  const to = await gpu.createBuffer("copy", bytes, usage);
  try {
    const byDriver = (encoder: GPUCommandEncoder, times: number) => {
      for (let i = 0; i < times; i++) encoder.copyBufferToBuffer(from, 0, to, 0, bytes);
    };
    const driver = await rateOf(gpu, bytes, byDriver);
    return { driver, shader: await rateOf(gpu, bytes, copyingShader(gpu, from, to)) };
  } finally {
    gpu.destroyBuffer(from);
    gpu.destroyBuffer(to);
  }
}

function copyingShader({ device }: Gpu, from: GPUBuffer, to: GPUBuffer) {
  const pipeline = device.createComputePipeline({
    layout: "auto",
    compute: { module: device.createShaderModule({ code: COPY }), entryPoint: "main" },
  });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [from, to].map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  return (encoder: GPUCommandEncoder, times: number) => {
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    for (let i = 0; i < times; i++) pass.dispatchWorkgroups(WORKGROUPS);
    pass.end();
  };
}

/** By what many copies take more than one does. */
async function rateOf(
  gpu: Gpu,
  bytes: number,
  encode: (encoder: GPUCommandEncoder, times: number) => void,
): Promise<number> {
  const timeOf = async (times: number) => {
    const encoder = gpu.device.createCommandEncoder();
    encode(encoder, times);
    const startMs = performance.now();
    gpu.device.queue.submit([encoder.finish()]);
    if (gpu.isQuick) gpu.drain();
    else await gpu.drained();
    return performance.now() - startMs;
  };
  let [one, many] = [Infinity, Infinity];
  for (let round = 0; round < ROUNDS; round++) {
    one = Math.min(one, await timeOf(1));
    many = Math.min(many, await timeOf(1 + REPEATS));
  }
  return 2 * bytes * REPEATS / Math.max(1e-3, many - one) / 1e6;
}
