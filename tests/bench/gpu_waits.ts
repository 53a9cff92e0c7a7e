/**
 * What a dispatch costs that waits for the one before and does next to nothing, by what differs
 * between the two: how many buffers they may write, how large workgroups are, how much workgroup
 * memory they take, whether pipelines and bindings change. A decoded token has six such waits a
 * layer.
 *
 *   deno run -A tests/bench/gpu_waits.ts [--software]
 */
import { type Gpu, openGpu } from "../../gpu/mod.ts";
import { askForTimestamps } from "./gpu_token_clock.ts";

/** Dispatches of a measurement, measurements, of which the least counts. */
const DISPATCHES = { gpu: 2000, software: 50 };
const ROUNDS = 5;
/** An idle card has a fraction of its clock: it computes before each measurement. */
const WARM_DISPATCHES = 4;
const BUFFER_BYTES = 4096;
const BUFFERS_MAX = 6;

/** A dispatch that reads a word and writes one. */
interface Kind {
  /** Buffers that it may write. */
  readonly buffers: number;
  readonly workgroups: number;
  readonly lanes: number;
  /** f32s of workgroup memory. */
  readonly words: number;
}

const USUAL: Kind = { buffers: 1, workgroups: 128, lanes: 256, words: 0 };

/** Dispatches in turns; one: always the same. */
const CASES: readonly (readonly [name: string, ...kinds: Kind[]])[] = [
  ["128 workgroups of 256, a buffer", USUAL],
  ["3 buffers", { ...USUAL, buffers: 3 }],
  ["6 buffers", { ...USUAL, buffers: 6 }],
  ["4 workgroups", { ...USUAL, workgroups: 4 }],
  ["1,536 workgroups of 128", { ...USUAL, workgroups: 1536, lanes: 128 }],
  ["128 workgroups of 1,024", { ...USUAL, lanes: 1024 }],
  ["256 and 1,024 in turns", USUAL, { ...USUAL, lanes: 1024 }],
  ["8 KiB of workgroup memory", { ...USUAL, words: 2048 }],
  ["32 KiB", { ...USUAL, words: 8192 }],
  ["none and 8 KiB in turns", USUAL, { ...USUAL, words: 2048 }],
  ["none and 32 KiB in turns", USUAL, { ...USUAL, words: 8192 }],
  ["8 and 32 KiB in turns", { ...USUAL, words: 2048 }, { ...USUAL, words: 8192 }],
  ["two pipelines alike in turns", USUAL, { ...USUAL, words: 1 }],
];

function shaderOf({ buffers, lanes, words }: Kind): string {
  const bindings = Array.from({ length: buffers }, (_, i) => {
    return `@group(0) @binding(${i}) var<storage, read_write> b${i}: array<f32>;`;
  });
  const reads = Array.from({ length: buffers }, (_, i) => `b${i}[lane % 64u]`).join(" + ");
  const shared = words === 0 ? "" : `var<workgroup> shared_: array<f32, ${words}>;`;
  const through = words === 0 ? "" : `shared_[lane % ${words}u] = sum;
  workgroupBarrier();
  sum = shared_[(lane + 1u) % ${Math.min(words, lanes)}u];`;
  return `${bindings.join("\n")}
${shared}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) w: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  var sum = ${reads};
  ${through}
  if (lane == 0u) { b0[64u + w.x % 512u] = 0.5 * sum; }
}`;
}

/** Encodes one dispatch. */
type Dispatch = (pass: GPUComputePassEncoder) => void;

/** @param buffers of all kinds, so that each waits for the one before. */
function dispatchOf({ device }: Gpu, buffers: readonly GPUBuffer[], kind: Kind): Dispatch {
  const module = device.createShaderModule({ code: shaderOf(kind) });
  const compute = { module, entryPoint: "main" };
  const pipeline = device.createComputePipeline({ layout: "auto", compute });
  const own = buffers.slice(0, kind.buffers);
  const entries = own.map((buffer, binding) => ({ binding, resource: { buffer } }));
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  return (pass) => {
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(kind.workgroups);
  };
}

/** µs a dispatch, of many in a pass, behind others that keep the clock up. */
async function time(gpu: Gpu, kinds: readonly Dispatch[], count: number): Promise<number> {
  const { device } = gpu;
  const querySet = device.createQuerySet({ type: "timestamp", count: 2 });
  const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const resolved = device.createBuffer({ size: 16, usage: QUERY_RESOLVE | COPY_SRC });
  const back = device.createBuffer({ size: 16, usage: COPY_DST | MAP_READ });
  const encoder = device.createCommandEncoder();
  const encode = (dispatches: number, descriptor?: GPUComputePassDescriptor) => {
    const pass = encoder.beginComputePass(descriptor);
    for (let i = 0; i < dispatches; i++) kinds[i % kinds.length](pass);
    pass.end();
  };
  encode(WARM_DISPATCHES * count);
  encode(count, {
    timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
  });
  encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
  encoder.copyBufferToBuffer(resolved, 0, back, 0, 16);
  device.queue.submit([encoder.finish()]);
  await back.mapAsync(GPUMapMode.READ);
  const [begin, end] = new BigUint64Array(back.getMappedRange().slice(0));
  for (const buffer of [resolved, back]) buffer.destroy();
  querySet.destroy();
  return Number(end - begin) / 1e3 / count;
}

if (import.meta.main) {
  askForTimestamps();
  const isSoftware = Deno.args.includes("--software");
  const gpu = await openGpu({ adapter: isSoftware ? "fallback-allowed" : "default" });
  const count = gpu.info.isFallback ? DISPATCHES.software : DISPATCHES.gpu;
  console.log(`${gpu.info.description}: µs of a dispatch that waits for the one before\n`);
  const buffers = Array.from({ length: BUFFERS_MAX }, () => {
    return gpu.device.createBuffer({ size: BUFFER_BYTES, usage: GPUBufferUsage.STORAGE });
  });
  const cases = CASES.map(([name, ...kinds]) => {
    return { name, dispatches: kinds.map((kind) => dispatchOf(gpu, buffers, kind)), us: Infinity };
  });
  for (let round = 0; round < ROUNDS; round++) {
    for (const each of cases) each.us = Math.min(each.us, await time(gpu, each.dispatches, count));
  }
  console.log("| dispatches | µs each |\n|---|---|");
  for (const { name, us } of cases) console.log(`| ${name} | ${us.toFixed(2)} |`);
  if (gpu.failure !== null) console.log(gpu.failure);
  gpu.close();
}
