/**
 * Tries how many invocations should share a row in products of one token: the same products with
 * each number in turn. Part of the autotune, which keeps what comes out.
 */
import { createInt8Rows, destroyInt8Rows } from "./int8_rows.ts";
import type { Gpu } from "./device.ts";
import { fireNeurons, joinResidual, multiplyOne } from "./ops/one_token.ts";
import { type Program, ProgramBuilder } from "./program.ts";
import { ROW_JOBS, type RowJob, type RowLanes, usableRowLanes } from "./row_lanes.ts";
import type { Rows } from "./rows.ts";
import { createStepInput } from "./step_input.ts";
import { createMatrix, type GpuMatrix } from "./weights/matrix.ts";

/** As large as a model's, more of them than caches hold. */
export interface RowTrial {
  readonly rows: number;
  readonly columns: number;
  readonly matrices: number;
  readonly repeats: number;
}
const TRIAL: RowTrial = { rows: 4096, columns: 4096, matrices: 8, repeats: 64 };
/** Measurements of each; the shortest counts. */
const ROUNDS = 3;
/** How much faster another number must be than the one that stands. */
const GAIN = 0.98;

/** The best numbers; `gpu.rowLanes` stays. Products must be by integers there. */
export async function tuneRowLanes(gpu: Gpu, trial: RowTrial = TRIAL): Promise<RowLanes> {
  const before = gpu.rowLanes;
  const best: Record<RowJob, number> = { ...before };
  const bench = await openRowBench(gpu, trial);
  try {
    for (const job of ROW_JOBS) {
      let bestMs = Infinity;
      for (const lanes of [before[job], ...usableRowLanes(job, gpu)]) {
        gpu.rowLanes = { ...before, [job]: lanes };
        const ms = await bench.time(job);
        if (ms >= GAIN * bestMs) continue;
        bestMs = ms;
        best[job] = lanes;
      }
    }
  } finally {
    gpu.rowLanes = before;
    bench.close();
  }
  return best;
}

const STEP = { n: 1, position: 0, m: 0 };

/** Products of one token to be timed; `gpu.rowLanes` counts when they are. */
export async function openRowBench(
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
    /** The shortest time of some products one after another, ms. */
    time: async (job: RowJob): Promise<number> => {
      const builder = new ProgramBuilder(gpu, input, int8);
      for (let i = 0; i < repeats; i++) add(job, builder, matrices[i % count]);
      const program = await builder.build([STEP]);
      let best = Infinity;
      for (let round = 0; round <= ROUNDS; round++) {
        input.write(STEP, null);
        best = Math.min(best, await runMs(gpu, program));
      }
      return best;
    },
    close: () => {
      for (const matrix of [...matrices, down]) matrix.destroy();
      for (const { buffer } of [x, to, normed, input]) gpu.destroyBuffer(buffer);
      gpu.destroyBuffer(weight);
      destroyInt8Rows(gpu, int8);
    },
  };
}

async function runMs(gpu: Gpu, program: Program): Promise<number> {
  const start = performance.now();
  if (gpu.isQuick) {
    program.run(STEP);
    gpu.drain();
  } else {
    await program.runLater(STEP);
    await gpu.drained();
  }
  return performance.now() - start;
}
