/** How fast a GPU copies, and multiplies with weights as the engine does: what plans count with. */
import {
  createMatrix,
  createStepInput,
  type Gpu,
  matmul,
  openGpu,
  type Program,
  ProgramBuilder,
} from "../../../gpu/mod.ts";
import { MiB } from "../../base/units.ts";
import type { GpuProfile } from "../../planner/mod.ts";

/** A layer's widest product of a 7B model; some of them are more than any cache holds. */
const ROWS = 14336;
const COLUMNS = 4096;
const MATRICES = 8;
const PROMPT_TOKENS = 64;
const COPY_BYTES = 128 * MiB;
const ROUNDS = 8;

/** @throws {GpuUnavailableError | GpuOutOfMemoryError} */
export async function measureGpu(
  { mayBeSoftware = false, matrices = MATRICES }: {
    mayBeSoftware?: boolean;
    matrices?: number;
  } = {},
): Promise<GpuProfile> {
  const gpu = await openGpu({ adapter: mayBeSoftware ? "fallback-allowed" : "default" });
  try {
    const copyGBps = await measureCopies(gpu);
    const { decodeGBps, prefillGFlops, stepMs } = await measureProducts(gpu, matrices);
    const { description, device, vendor } = gpu.info;
    const adapter = description || device || vendor;
    return { adapter, copyGBps, decodeGBps, stepMs, prefillGFlops };
  } finally {
    gpu.close();
  }
}

async function measureCopies(gpu: Gpu): Promise<number> {
  const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const [from, to] = [
    await gpu.createBuffer("copy from", COPY_BYTES, usage),
    await gpu.createBuffer("copy to", COPY_BYTES, usage),
  ];
  const copy = () => {
    const encoder = gpu.device.createCommandEncoder();
    encoder.copyBufferToBuffer(from, 0, to, 0, COPY_BYTES);
    gpu.device.queue.submit([encoder.finish()]);
  };
  const ms = await fastest(gpu, copy);
  gpu.destroyBuffer(from);
  gpu.destroyBuffer(to);
  return 2 * COPY_BYTES / ms / 1e6;
}

async function measureProducts(gpu: Gpu, matrices: number) {
  const input = await createStepInput(gpu, { maxTokens: PROMPT_TOKENS, ropes: [] });
  const buffer = await gpu.createBuffer("rows", PROMPT_TOKENS * (ROWS + COLUMNS) * 4);
  const rows = (offsetBytes: number, stride: number) => ({
    ...{ buffer, offsetBytes, stride },
    sizeBytes: PROMPT_TOKENS * stride * 4,
  });
  const x = rows(0, COLUMNS);
  const to = rows(x.sizeBytes, ROWS);
  const builder = new ProgramBuilder(gpu, input);
  let bytes = 0;
  for (let i = 0; i < matrices; i++) {
    const matrix = await createMatrix(gpu, `matrix ${i}`, {
      ...{ type: "Q4_0", rows: ROWS, columns: COLUMNS },
    });
    bytes += matrix.bytes;
    matmul(builder, { matrix, x, to });
    builder.boundary();
  }
  const program = await builder.build();
  const timeOf = (n: number) => {
    const step = { n, position: 0, m: 0 };
    return fastest(gpu, () => {
      input.write(step, null);
      program.run(step);
    });
  };
  const empty = await new ProgramBuilder(gpu, input).build();
  const stepMs = await emptyStep(gpu, empty);
  const decodeMs = await timeOf(1);
  const prefillMs = await timeOf(PROMPT_TOKENS);
  return {
    stepMs,
    decodeGBps: bytes / Math.max(1e-3, decodeMs - stepMs) / 1e6,
    prefillGFlops: 2 * matrices * ROWS * COLUMNS * PROMPT_TOKENS / prefillMs / 1e6,
  };
}

function emptyStep(gpu: Gpu, program: Program): Promise<number> {
  return fastest(gpu, () => program.run({ n: 1, position: 0, m: 0 }));
}

/** Milliseconds of the fastest of some rounds, each until the GPU is idle. */
async function fastest(gpu: Gpu, work: () => void): Promise<number> {
  let best = Infinity;
  for (let round = 0; round <= ROUNDS; round++) {
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
