/**
 * Tries how many invocations should share a row in products of one token: the same products with
 * each number in turn. Part of the autotune, which keeps what comes out.
 */
import { createInt8Rows, destroyInt8Rows } from "./int8_rows.ts";
import type { Gpu } from "./device.ts";
import { fireNeurons, joinResidual, multiplyOne } from "./ops/one_token.ts";
import { type Program, ProgramBuilder } from "./program.ts";
import { ROW_JOBS, type RowJob, type RowLanes, rowLanesFor, usableRowLanes } from "./row_lanes.ts";
import type { Rows } from "./rows.ts";
import type { ReadRequest } from "./slice_encoder.ts";
import { createStepInput, type StepValues } from "./step_input.ts";
import { createMatrix, type GpuMatrix } from "./weights/matrix.ts";

/** As large as a model's, more of them than caches hold, and enough to keep the clock up. */
interface RowTrial {
  readonly rows: number;
  readonly columns: number;
  readonly matrices: number;
  readonly repeats: number;
}
const TRIALS: Readonly<Record<RowJob, RowTrial>> = {
  heads: { rows: 6144, columns: 4096, matrices: 8, repeats: 256 },
  // With half as many neurons there would be too few workgroups to say anything about these.
  gated: { rows: 28672, columns: 4096, matrices: 2, repeats: 64 },
  joined: { rows: 4096, columns: 14336, matrices: 4, repeats: 128 },
};
/** Measurements of each, in turns; the shortest counts. */
const ROUNDS = 5;
/** How much faster another number must be than the one that stands. */
const GAIN = 0.98;

/** The best numbers; `gpu.rowLanes` stays. Products must be by integers there. */
export async function tuneRowLanes(gpu: Gpu, trials = TRIALS): Promise<RowLanes> {
  const before = gpu.rowLanes;
  const best: Record<RowJob, number> = { ...before };
  for (const job of ROW_JOBS) {
    const bench = await openRowBench(gpu, trials[job]);
    try {
      best[job] = await bestOf(gpu, job, bench);
    } finally {
      gpu.rowLanes = before;
      bench.close();
    }
  }
  return best;
}

async function bestOf(
  gpu: Gpu,
  job: RowJob,
  bench: Awaited<ReturnType<typeof openRowBench>>,
): Promise<number> {
  const before = gpu.rowLanes;
  const own = rowLanesFor(gpu, job);
  const tried = [];
  for (const lanes of usableRowLanes(job, gpu)) {
    gpu.rowLanes = { ...before, [job]: lanes };
    // What stands stays, unless another is clearly better.
    const weight = lanes === own ? GAIN : 1;
    tried.push({ lanes, weight, program: await bench.build(job), ms: Infinity });
  }
  for (let round = 0; round <= ROUNDS; round++) {
    for (const each of tried) {
      const ms = each.weight * await bench.time(each.program);
      // The first time is the compiler's.
      if (round > 0) each.ms = Math.min(each.ms, ms);
    }
  }
  return tried.reduce((a, b) => b.ms < a.ms ? b : a).lanes;
}

const STEP = { n: 1, position: 0, m: 0 };

/** Products of one token to be timed. */
async function openRowBench(
  gpu: Gpu,
  { rows, columns, matrices: count, repeats }: RowTrial,
) {
  const input = await createStepInput(gpu, { maxTokens: 1, ropes: [] });
  const int8 = await createInt8Rows(gpu, { tokens: 1, columns: Math.max(rows, columns) });
  const matrices: GpuMatrix[] = [];
  for (let i = 0; i < count; i++) {
    matrices.push(await createMatrix(gpu, "tuning", { type: "Q4_0", rows, columns }));
  }
  const down = await createMatrix(gpu, "tuning", { type: "Q4_0", rows: 32, columns: rows / 2 });
  const width = 4 * Math.ceil(Math.max(rows + rows / 32, columns) / 4);
  const place = async (): Promise<Rows> => {
    const buffer = await gpu.createBuffer("tuning", width * 4);
    return { buffer, offsetBytes: 0, sizeBytes: width * 4, stride: width };
  };
  const [x, to, normed] = [await place(), await place(), await place()];
  const weight = await gpu.createVector("tuning", new Float32Array(rows));
  const add = (job: RowJob, builder: ProgramBuilder, matrix: GpuMatrix) => {
    const of = { matrix, bias: null, x, to };
    if (job === "heads") return multiplyOne(builder, of);
    if (job === "gated") {
      return fireNeurons(builder, { ...of, down, activation: "silu", isGated: true });
    }
    joinResidual(builder, { ...of, scale: 1, weight, epsilon: 1e-5, normed, readers: [matrix] });
  };
  return {
    /** Some products one after another, by the numbers that count now. */
    build: async (job: RowJob): Promise<Program> => {
      const builder = new ProgramBuilder(gpu, input, int8);
      for (let i = 0; i < repeats; i++) add(job, builder, matrices[i % count]);
      return await builder.build([STEP]);
    },
    /** What they take, ms. */
    time: async (program: Program): Promise<number> => {
      input.write(STEP, null);
      return await runMs(gpu, program);
    },
    close: () => {
      for (const matrix of [...matrices, down]) matrix.destroy();
      for (const { buffer } of [x, to, normed, input]) gpu.destroyBuffer(buffer);
      gpu.destroyBuffer(weight);
      destroyInt8Rows(gpu, int8);
    },
  };
}

/** What a step takes until the GPU is idle, ms. */
export async function runMs(
  gpu: Gpu,
  program: Program,
  step: StepValues = STEP,
  read?: ReadRequest,
): Promise<number> {
  const start = performance.now();
  if (gpu.isQuick) {
    program.run(step, read);
    gpu.drain();
  } else {
    await program.runLater(step, read);
    await gpu.drained();
  }
  return performance.now() - start;
}
