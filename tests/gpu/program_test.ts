/** Programs: which dispatches a step has, slices, reading back. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  addRows,
  attention,
  attentionScratchBytes,
  canMultiplyOne,
  createInt8Rows,
  createKvCache,
  createMatrix,
  createReadBack,
  createStepInput,
  destroyInt8Rows,
  destroyKvCache,
  type Gpu,
  type GpuInfo,
  GpuLostError,
  type GpuMatrix,
  type GpuPriority,
  matmul,
  openGpu,
  ProgramBuilder,
  rotateAndRemember,
  type Rows,
  scaleRows,
  tuneKernels,
} from "../../gpu/mod.ts";
import { readTuning, TUNING_VERSION } from "../../gpu/autotune.ts";
import { SlicePace } from "../../gpu/slice_pace.ts";
import { ROW_JOBS, usableRowLanes } from "../../gpu/row_lanes.ts";
import { tuneAttention } from "../../gpu/tune_attention.ts";
import { tuneRowLanes } from "../../gpu/tune_rows.ts";
import { type KernelVariants, PLAIN_VARIANTS } from "../../gpu/variants.ts";
import { gpuTest } from "../support/gpu.ts";
import { withoutDispatches } from "../support/without_dispatches.ts";

const USAGE = 0x80 | 0x08 | 0x04; // STORAGE, COPY_DST, COPY_SRC

async function rowsOf(gpu: Gpu, tokens: number, width: number): Promise<Rows> {
  const sizeBytes = tokens * width * 4;
  const buffer = await gpu.createBuffer("rows", sizeBytes, USAGE);
  return { buffer, offsetBytes: 0, sizeBytes, stride: width };
}

gpuTest("readInto() gives the right values 1000 times, from two buffers in turns", async (gpu) => {
  const input = await createStepInput(gpu, { maxTokens: 1, ropes: [] });
  const [one, sum] = [await rowsOf(gpu, 1, 64), await rowsOf(gpu, 1, 64)];
  gpu.write(one.buffer, 0, new Float32Array(64).fill(1));
  const builder = new ProgramBuilder(gpu, input);
  addRows(builder, { x: one, to: sum, width: 64 });
  const step = { n: 1, position: 0, m: 0 };
  const program = await builder.build([step]);
  const backs = [await createReadBack(gpu, 256), await createReadBack(gpu, 256)];
  const out = new Float32Array(new SharedArrayBuffer(256));
  let wrong = 0;
  for (let i = 1; i <= 1000; i++) {
    input.write(step, null);
    const to = backs[i % 2];
    program.run(step, { to, from: sum.buffer, offsetBytes: 0, bytes: 256 });
    to.readInto(out);
    if (!out.every((value) => value === i)) wrong++;
  }
  assertEquals(wrong, 0);
});

gpuTest("readInto() notices that a step came to nothing", async (gpu) => {
  const input = await createStepInput(gpu, { maxTokens: 1, ropes: [] });
  const x = await rowsOf(gpu, 1, 4);
  const builder = new ProgramBuilder(gpu, input);
  scaleRows(builder, { x, width: 4 });
  const step = { n: 1, position: 0, m: 0 };
  const program = await builder.build([step]);
  const back = await createReadBack(gpu, 16);
  input.write(step, null);
  program.run(step, { to: back, from: x.buffer, offsetBytes: 0, bytes: 16 });
  back.expect(input.sequence + 1, 16); // of a step that was never submitted
  assertThrows(() => back.readInto(new Float32Array(4)), GpuLostError, "left out a step");
});

gpuTest("a decoded token copies nothing of keys and values, but what is read back", async (gpu) => {
  const shape = { positions: 600, kvHeads: 2, headDim: 16, type: "f16" } as const;
  const cache = await createKvCache(gpu, "cache", shape);
  const input = await createStepInput(gpu, { maxTokens: 8, ropes: [], contextLength: 600 });
  const x = await rowsOf(gpu, 8, 8 * 16);
  const to = await rowsOf(gpu, 8, 4 * 16);
  const bytes = attentionScratchBytes({ heads: 4, headDim: 16, positions: 600, maxTokens: 8 });
  const scratch = await gpu.createBuffer("scratch", bytes);
  const builder = new ProgramBuilder(gpu, input);
  rotateAndRemember(builder, { x, heads: 4, cache, rope: null });
  attention(builder, { x, to, heads: 4, groupSize: 2, cache, scale: 0.25, scratch });
  const steps = [[8, 0], [1, 8], [1, 9], [7, 300], [1, 307]]
    .map(([n, position]) => ({ n, position, m: 0 }));
  const program = await builder.build(steps);
  const back = await createReadBack(gpu, 64 * 4);
  const copies: GPUBuffer[] = [];
  const { copyBufferToBuffer } = GPUCommandEncoder.prototype;
  GPUCommandEncoder.prototype.copyBufferToBuffer = function (...args: unknown[]) {
    copies.push(args[0] as GPUBuffer);
    return Reflect.apply(copyBufferToBuffer, this, args);
  };
  try {
    await withoutDispatches(() => {
      for (const step of steps) {
        input.write(step, null);
        program.run(step, { to: back, from: to.buffer, offsetBytes: 0, bytes: 64 * 4 });
        back.readInto(new Float32Array(64));
      }
      return Promise.resolve();
    });
  } finally {
    GPUCommandEncoder.prototype.copyBufferToBuffer = copyBufferToBuffer;
  }
  // The step's number and the result; writing and attending take the cache where it lies.
  assertEquals(new Set(copies), new Set([input.buffer, to.buffer]));
  assertEquals(program.copiedBytes, steps.length * (4 + 64 * 4));
  assertEquals(steps.map((step) => program.dispatchCount(step)), [2, 3, 3, 3, 3]);
  destroyKvCache(gpu, cache);
});

gpuTest("a product of scored tokens is one dispatch, as one of all tokens is", async (gpu) => {
  const input = await createStepInput(gpu, { maxTokens: 64, ropes: [], sequences: 16 });
  const matrix = await createMatrix(gpu, "w", { type: "F32", rows: 64, columns: 64 });
  for (const count of ["tokens", "scored"] as const) {
    const builder = new ProgramBuilder(gpu, input);
    matmul(builder, { matrix, x: await rowsOf(gpu, 64, 64), to: await rowsOf(gpu, 64, 64), count });
    const program = await builder.build([]);
    for (const n of [1, 2, 4, 7, 8, 9, 16, 33, 64]) {
      const step = { n, position: 0, m: n };
      assertEquals(program.dispatchCount(step), 1, `${count}: ${n}`);
      if (n > 16) continue;
      assertEquals(program.dispatchCount({ ...step, isApart: true }), 1, `${count}: ${n} apart`);
    }
  }
  matrix.destroy();
});

gpuTest(
  "inputs of a product are put into 8 bits in those steps only that read them so",
  async (gpu) => {
    if (!gpu.features.has("int8")) return;
    const input = await createStepInput(gpu, { maxTokens: 64, ropes: [], sequences: 16 });
    const int8 = await createInt8Rows(gpu, { tokens: 64, columns: 64, sequences: 16 });
    const [x, to] = [await rowsOf(gpu, 64, 64), await rowsOf(gpu, 64, 64)];
    const matrix = await createMatrix(gpu, "w", { type: "Q8_0", rows: 64, columns: 64 });
    // Alone, one of several, two of one, many of one.
    const kinds = [[1, true], [4, true], [2, false], [40, false]] as const;
    const countsOf = async (variants: Partial<KernelVariants>) => {
      gpu.variants = { ...PLAIN_VARIANTS, ...variants };
      const builder = new ProgramBuilder(gpu, input, int8);
      matmul(builder, { matrix, x, to });
      const program = await builder.build([]);
      return kinds.map(([n, isApart]) => program.dispatchCount({ n, m: n, position: 0, isApart }));
    };
    try {
      assertEquals(await countsOf({}), [1, 1, 1, 1]);
      assertEquals(await countsOf({ matmul_byte: "matmul_int8" }), [1, 1, 1, 2]);
      assertEquals((await countsOf({ matvec_byte: "matvec_int8" })).slice(0, 3), [2, 2, 2]);
    } finally {
      gpu.variants = PLAIN_VARIANTS;
      matrix.destroy();
      destroyInt8Rows(gpu, int8);
      for (const { buffer } of [x, to, input]) gpu.destroyBuffer(buffer);
    }
  },
);

/** A program of `units` units on a device of its own, and the command buffers that a step takes. */
async function countSubmissions(priority: GpuPriority, units: number, steps: number) {
  const gpu = await openGpu({ adapter: "fallback-allowed", priority });
  const input = await createStepInput(gpu, { maxTokens: 1, ropes: [] });
  const x = await rowsOf(gpu, 1, 4);
  gpu.write(x.buffer, 0, Float32Array.of(1, 1, 1, 1));
  const builder = new ProgramBuilder(gpu, input);
  for (let unit = 0; unit < units; unit++) {
    scaleRows(builder, { x, width: 4, scale: unit % 2 === 0 ? 2 : 0.5 });
    builder.boundary();
  }
  const step = { n: 1, position: 0, m: 0 };
  const program = await builder.build([step]);
  const back = await createReadBack(gpu, 16);
  const out = new Float32Array(4);
  let submissions = 0;
  const { queue } = gpu.device;
  const submit = queue.submit.bind(queue);
  queue.submit = (commands) => {
    submissions++;
    return submit(commands);
  };
  const counts = [];
  for (let i = 0; i < steps; i++) {
    submissions = 0;
    input.write(step, null);
    program.run(step, { to: back, from: x.buffer, offsetBytes: 0, bytes: 16 });
    back.readInto(out);
    counts.push(submissions);
  }
  const { longestSliceMs } = program;
  gpu.close();
  return { counts, out, longestSliceMs };
}

gpuTest("run() cuts a step into slices, few once it knows that they are short", async () => {
  const { counts, out, longestSliceMs } = await countSubmissions("normal", 40, 12);
  assertEquals([...out], [1, 1, 1, 1]);
  assert(counts[0] > counts[11], `submissions: ${counts}`);
  assert(longestSliceMs > 0);
});

gpuTest(
  "run() encodes the token behind this one ahead, runBehind() does not",
  async (gpu) => {
    const input = await createStepInput(gpu, { maxTokens: 1, ropes: [] });
    const x = await rowsOf(gpu, 1, 4);
    gpu.write(x.buffer, 0, Float32Array.of(1, 1, 1, 1));
    const builder = new ProgramBuilder(gpu, input);
    scaleRows(builder, { x, width: 4, scale: 2 });
    const step = { n: 1, position: 0, m: 0 };
    const program = await builder.build([step]);
    const read = {
      ...{ to: await createReadBack(gpu, 16), from: x.buffer, offsetBytes: 0, bytes: 16 },
    };
    let passes = 0;
    const { beginComputePass } = GPUCommandEncoder.prototype;
    GPUCommandEncoder.prototype.beginComputePass = function (...args) {
      passes++;
      return beginComputePass.apply(this, args);
    };
    const passesOf = (run: () => void) => {
      passes = 0;
      input.write(step, null);
      run();
      return passes;
    };
    try {
      assertEquals(passesOf(() => program.run(step)), 2);
      assertEquals(passesOf(() => program.run(step)), 1);
      assertEquals(passesOf(() => program.runBehind(step)), 0);
      assertEquals(passesOf(() => program.runBehind(step)), 1);
      assertEquals(passesOf(() => program.runBehind(step, read)), 1);
    } finally {
      GPUCommandEncoder.prototype.beginComputePass = beginComputePass;
    }
    const out = new Float32Array(4);
    read.to.readInto(out);
    assertEquals([...out], [32, 32, 32, 32]);
    assertEquals(program.copiedBytes, 4 + 16);
  },
);

Deno.test("SlicePace has two slices under way, in the background one", () => {
  const waits = (priority: GpuPriority) => {
    const pace = new SlicePace(100, priority);
    for (let step = 0; step < 4; step++) pace.begin();
    return [1, 2, 3].map((slice) => pace.mustWait(1, slice === 3));
  };
  assertEquals(waits("normal"), [false, true, false]);
  assertEquals(waits("background"), [true, true, true]);
});

Deno.test("SlicePace submits shorter slices when they take long, slowly longer ones", () => {
  const pace = new SlicePace(100, "normal");
  const { now } = performance;
  let ms = 0;
  performance.now = () => ms;
  try {
    const slice = (msPerUnit: number) => {
      pace.begin();
      pace.mustWait(pace.unitsPerSlice, false);
      ms += msPerUnit * pace.unitsPerSlice;
      pace.waited();
      return pace.unitsPerSlice;
    };
    assertEquals(slice(0.01), 8);
    assertEquals(slice(0.01), 16);
    assertEquals(slice(1), 8);
    assertEquals(slice(4), 2);
    assertEquals(slice(100), 1);
    assertEquals(pace.longestMs, 200);
  } finally {
    performance.now = now;
  }
});

gpuTest(
  "tuneKernels() chooses what the adapter can run, and believes what it kept",
  async (gpu) => {
    const text = await tuneKernels(gpu, null);
    assertEquals(gpu.variants, readTuning(text, gpu)?.variants);
    const kept = JSON.stringify({ ...JSON.parse(text), variants: PLAIN_VARIANTS });
    assertEquals(await tuneKernels(gpu, kept), kept);
    assertEquals(gpu.variants, PLAIN_VARIANTS);
  },
);

gpuTest("tuneRowLanes() chooses numbers of invocations that the adapter can have", async (gpu) => {
  if (!gpu.features.has("int8")) return;
  gpu.variants = { ...PLAIN_VARIANTS, matvec_nibble: "matvec_int8" };
  try {
    const trial = { rows: 64, columns: 64, matrices: 2, repeats: 2 };
    const before = gpu.rowLanes;
    const chosen = await tuneRowLanes(gpu, { heads: trial, gated: trial, joined: trial });
    assertEquals(gpu.rowLanes, before);
    for (const job of ROW_JOBS) assert(usableRowLanes(job, gpu).includes(chosen[job]), job);
  } finally {
    gpu.variants = PLAIN_VARIANTS;
  }
});

gpuTest("tuneAttention() tries both ways to their bits, and leaves what was", async (gpu) => {
  const trial = { heads: 4, kvHeads: 2, headDim: 64, positions: 100, caches: 2, repeats: 3 };
  const { now } = performance;
  const { counters } = gpu;
  gpu.endsByLast = true;
  try {
    // Whatever comes later takes less time: the new way does.
    let [atMs, stepMs] = [0, 1];
    performance.now = () => atMs += stepMs *= 0.9;
    assertEquals(await tuneAttention(gpu, trial), true);
    assertEquals(gpu.endsByLast, true);
    // Where nobody comes last, rows that the other way has left are not taken for its own.
    const wrong = await gpu.createBuffer("wrong", counters.size, 0x80 | 0x08);
    gpu.write(wrong, 0, new Uint32Array(counters.size / 4).fill(1000));
    Object.assign(gpu, { counters: wrong });
    assertEquals(await tuneAttention(gpu, trial), false);
    Object.assign(gpu, { counters });
    gpu.destroyBuffer(wrong);
    // Whoever leaves other bits is not taken, however fast it is.
    const { every } = Uint32Array.prototype;
    let compared = 0;
    Uint32Array.prototype.every = function () {
      compared++;
      return false;
    };
    try {
      assertEquals(await tuneAttention(gpu, trial), false);
    } finally {
      Uint32Array.prototype.every = every;
    }
    assertEquals(compared, 1);
  } finally {
    performance.now = now;
    Object.assign(gpu, { counters, endsByLast: false });
  }
  const other = Object.create(gpu, { ordersWorkgroups: { value: false } });
  assertEquals(await tuneAttention(other, trial), false);
});

Deno.test("canMultiplyOne() is for products whose grid WebGPU can have", () => {
  const can = (groups: number) => {
    const matrix = { parts: [{}], rows: 4 * groups, format: { family: "float" } };
    return canMultiplyOne({} as ProgramBuilder, matrix as unknown as GpuMatrix);
  };
  assertEquals([can(65_535), can(65_536)], [true, false]);
});

Deno.test("readTuning() believes only text of its own adapter, and shaders that it can run", () => {
  const limits = {
    ...{ maxComputeInvocationsPerWorkgroup: 256, maxComputeWorkgroupStorageSize: 16_384 },
  } as GPUSupportedLimits;
  const info = { key: "rocket" } as GpuInfo;
  const gpu = { info, limits, features: new Set(["f16"] as const), ordersWorkgroups: false };
  const variants = { ...PLAIN_VARIANTS, matmul_nibble: "matmul_nibble_f16" };
  const rowLanes = { heads: 16, gated: 4, joined: 8 };
  const chosen = { variants, rowLanes, endsByLast: false };
  const kept = { adapter: "rocket", version: TUNING_VERSION, ...chosen };
  assertEquals<unknown>(readTuning(JSON.stringify(kept), gpu), chosen);
  const byLast = JSON.stringify({ ...kept, endsByLast: true });
  assertEquals(readTuning(byLast, gpu), null);
  assertEquals(readTuning(byLast, { ...gpu, ordersWorkgroups: true })?.endsByLast, true);
  const bad = [
    { ...kept, adapter: "other" },
    { ...kept, version: 0 },
    { ...kept, variants: { ...variants, matvec_byte: "matvec_byte_subgroups" } },
    { ...kept, variants: { ...variants, matvec_byte: "norm" } },
    { ...kept, variants: null },
    { ...kept, rowLanes: { ...rowLanes, gated: 16 } }, // 512 invocations
    { ...kept, rowLanes: null },
    { ...kept, endsByLast: undefined },
    null,
    [],
  ];
  for (const each of bad) assertEquals(readTuning(JSON.stringify(each), gpu), null);
  assertEquals(readTuning("{", gpu), null);
});
