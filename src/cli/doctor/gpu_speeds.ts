/** How fast a GPU copies, and multiplies with weights as the engine does: what plans count with. */
import {
  createInt8Rows,
  createMatrix,
  createStepInput,
  type Gpu,
  matmul,
  measureCopyRates,
  norm,
  openGpu,
  ProgramBuilder,
  type Rows,
  type StepInput,
  tuneKernels,
} from "../../../gpu/mod.ts";
import { MiB } from "../../base/units.ts";
import type { GpuProfile } from "../../planner/mod.ts";

/** What is measured. */
export interface GpuWork {
  readonly rows: number;
  readonly columns: number;
  readonly matrices: number;
  readonly copyBytes: number;
  readonly rounds: number;
}

/** A product of a 7B model; some of them are more than any cache holds. */
const WORK: GpuWork = {
  ...{ rows: 4096, columns: 14336, matrices: 8, copyBytes: 128 * MiB, rounds: 8 },
};
const PROMPT_TOKENS = 512;
/** Small kernels one after another. */
const SMALL_KERNELS = 64;
const UPLOAD_PIECE_BYTES = 4 * MiB;

/** @throws {GpuUnavailableError | GpuOutOfMemoryError} */
export async function measureGpu(
  { mayBeSoftware = false, work = WORK }: { mayBeSoftware?: boolean; work?: GpuWork } = {},
): Promise<GpuProfile> {
  const gpu = await openGpu({ adapter: mayBeSoftware ? "fallback-allowed" : "default" });
  try {
    const tuning = gpu.info.isFallback ? undefined : await tuneKernels(gpu, null);
    const { driver, shader } = await measureCopyRates(gpu, work.copyBytes);
    const { description, device, vendor } = gpu.info;
    return {
      adapter: description || device || vendor,
      copyGBps: Math.max(driver, shader),
      ...await measureProducts(gpu, work),
      uploadGBps: await measureUploads(gpu, work),
      tuning,
    };
  } finally {
    gpu.close();
  }
}

/** As streamed weights are uploaded, until the GPU has them. */
async function measureUploads(gpu: Gpu, { copyBytes, rounds }: GpuWork): Promise<number> {
  const to = await gpu.createBuffer("upload to", copyBytes);
  const piece = new Uint8Array(Math.min(copyBytes, UPLOAD_PIECE_BYTES)).fill(1);
  const ms = await fastest(gpu, rounds, () => {
    for (let at = 0; at < copyBytes; at += piece.length) {
      gpu.write(to, at, piece.subarray(0, Math.min(piece.length, copyBytes - at)));
    }
    gpu.submit([]);
  });
  gpu.destroyBuffer(to);
  return copyBytes / ms / 1e6;
}

async function measureProducts(gpu: Gpu, work: GpuWork) {
  const { rows: height, columns: width, matrices, rounds } = work;
  const input = await createStepInput(gpu, { maxTokens: PROMPT_TOKENS, ropes: [] });
  const buffer = await gpu.createBuffer("rows", PROMPT_TOKENS * (height + width) * 4);
  const rows = (offsetBytes: number, stride: number) => ({
    ...{ buffer, offsetBytes, stride },
    sizeBytes: PROMPT_TOKENS * stride * 4,
  });
  const x = rows(0, width);
  const to = rows(x.sizeBytes, height);
  const int8 = await createInt8Rows(gpu, { tokens: PROMPT_TOKENS, columns: width });
  const builder = new ProgramBuilder(gpu, input, int8);
  let bytes = 0;
  for (let i = 0; i < matrices; i++) {
    const matrix = await createMatrix(gpu, `matrix ${i}`, {
      ...{ type: "Q4_0", rows: height, columns: width },
    });
    bytes += matrix.bytes;
    matmul(builder, { matrix, x, to });
    builder.boundary();
  }
  const program = await builder.build();
  const timeOf = (n: number) => {
    const step = { n, position: 0, m: 0 };
    return fastest(gpu, rounds, () => {
      input.write(step, null);
      program.run(step);
    });
  };
  const empty = await new ProgramBuilder(gpu, input).build();
  const stepMs = await fastest(gpu, rounds, () => empty.run({ n: 1, position: 0, m: 0 }));
  const decodeMs = await timeOf(1);
  const prefillMs = await timeOf(PROMPT_TOKENS);
  return {
    stepMs,
    smallKernelMs: await smallKernelMs(gpu, { input, x, to }, {
      ...{ width: Math.min(width, height), rounds, stepMs },
    }),
    decodeGBps: bytes / Math.max(1e-3, decodeMs - stepMs) / 1e6,
    prefillGFlops: 2 * matrices * height * width * PROMPT_TOKENS / prefillMs / 1e6,
  };
}

/** What a kernel takes that computes next to nothing, with waiting for the one before it. */
async function smallKernelMs(
  gpu: Gpu,
  { input, x, to }: { input: StepInput; x: Rows; to: Rows },
  { width, rounds, stepMs }: { width: number; rounds: number; stepMs: number },
): Promise<number> {
  const weight = await gpu.createVector("norm", new Float32Array(width));
  const builder = new ProgramBuilder(gpu, input);
  const epsilon = 1e-5;
  for (let i = 0; i < SMALL_KERNELS; i++) {
    norm(builder, { kind: "rms", epsilon, width, weight, from: x, to });
  }
  const step = { n: 1, position: 0, m: 0 };
  const program = await builder.build([step]);
  const ms = await fastest(gpu, rounds, () => {
    input.write(step, null);
    program.run(step);
  });
  gpu.destroyBuffer(weight);
  return Math.max(0, ms - stepMs) / SMALL_KERNELS;
}

/** Milliseconds of the fastest of some rounds, each until the GPU is idle. */
async function fastest(gpu: Gpu, rounds: number, work: () => void): Promise<number> {
  let best = Infinity;
  for (let round = 0; round <= rounds; round++) {
    const startMs = performance.now();
    work();
    // Awaiting costs 10 ms in Deno.
    if (gpu.isQuick) gpu.drain();
    else await gpu.drained();
    // The first one compiles.
    if (round > 0) best = Math.min(best, performance.now() - startMs);
  }
  return best;
}
