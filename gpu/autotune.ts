/**
 * Which of several shaders for a job an adapter does fastest: tried once, in a fraction of a
 * second, and kept by whoever calls, as text. A shader whose results differ from the plain one's is
 * never chosen.
 */
import type { Gpu } from "./device.ts";
import { createInt8Rows, destroyInt8Rows } from "./int8_rows.ts";
import { needsOf, type ProductName } from "./kernels.ts";
import { createReadBack } from "./read_back.ts";
import { matmul } from "./ops/matmul.ts";
import { ProgramBuilder } from "./program.ts";
import {
  DEFAULT_ROW_LANES,
  ROW_JOBS,
  type RowJob,
  type RowLanes,
  rowLanesFor,
  usableRowLanes,
} from "./row_lanes.ts";
import type { Rows } from "./rows.ts";
import { tuneAttention } from "./tune_attention.ts";
import { tuneRowLanes } from "./tune_rows.ts";
import { createStepInput } from "./step_input.ts";
import {
  type KernelVariants,
  PLAIN_VARIANTS,
  type TunedKernel,
  usableVariants,
} from "./variants.ts";
import { createMatrix } from "./weights/matrix.ts";

/**
 * What is tried: as large as a model's products, on a GPU more matrices than its caches hold, one
 * after another, so that waiting counts for nothing; on software as small as can be.
 */
interface Trial {
  readonly rows: number;
  readonly columns: number;
  readonly matrices: number;
  /** Tokens of a product with many. */
  readonly many: number;
  /** Products of a measurement with one token, and with many. */
  readonly repeats: number;
  readonly manyRepeats: number;
}
const TRIALS: { readonly gpu: Trial; readonly software: Trial } = {
  gpu: { rows: 4096, columns: 4096, matrices: 8, many: 256, repeats: 64, manyRepeats: 8 },
  software: { rows: 256, columns: 1024, matrices: 1, many: 32, repeats: 2, manyRepeats: 2 },
};
/** Measurements of a shader; the shortest counts. */
const ROUNDS = 3;
/** How much faster another shader must be than the plain one. */
const GAIN = 0.97;
/** The largest difference, as a share of the largest result. */
const TOLERANCE = 1e-4;
/** The same where inputs are rounded to 8 bits. */
const INT8_TOLERANCE = 2e-2;

/** What `tuneKernels` keeps. */
interface Kept {
  readonly adapter: string;
  readonly version: number;
  readonly variants: KernelVariants;
  readonly rowLanes: RowLanes;
  /** See `Gpu`. */
  readonly endsByLast: boolean;
}

/** Grows when shaders change. */
export const TUNING_VERSION = 6;

/** For so long a GPU computes before it is measured: an idle one has a fraction of its clock. */
const WARM_MS = 500;

/**
 * Sets `gpu.variants` and `gpu.rowLanes`.
 * @param kept what an earlier call returned, on this adapter or another; null: nothing.
 * @returns what is to be kept.
 */
export async function tuneKernels(gpu: Gpu, kept: string | null): Promise<string> {
  const known = kept === null ? null : readTuning(kept, gpu);
  if (known === null && !gpu.info.isFallback) await warmUp(gpu);
  gpu.variants = known?.variants ?? await measureAll(gpu);
  gpu.rowLanes = known?.rowLanes ?? await measureRowLanes(gpu);
  gpu.endsByLast = known?.endsByLast ?? (!gpu.info.isFallback && await tuneAttention(gpu));
  const { info: { key: adapter }, variants, rowLanes, endsByLast } = gpu;
  const choice: Kept = { adapter, version: TUNING_VERSION, variants, rowLanes, endsByLast };
  return JSON.stringify(choice);
}

async function warmUp(gpu: Gpu): Promise<void> {
  const bench = await TuningBench.create(gpu, "Q4_0", 1);
  const startMs = performance.now();
  while (performance.now() < startMs + WARM_MS) await bench.run(gpu.variants);
  bench.destroy();
}

/** On software, and where no product is by integers, nothing is to be had. */
async function measureRowLanes(gpu: Gpu): Promise<RowLanes> {
  const isByIntegers = needsOf(gpu.variants.matvec_nibble).includes("int8");
  if (!gpu.info.isFallback && isByIntegers) return await tuneRowLanes(gpu);
  return {
    heads: rowLanesFor(gpu, "heads"),
    gated: rowLanesFor(gpu, "gated"),
    joined: rowLanesFor(gpu, "joined"),
  };
}

/** The choice that a text holds, where it is of this adapter and of shaders that it can run. */
export function readTuning(
  text: string,
  gpu: Pick<Gpu, "info" | "features" | "limits" | "ordersWorkgroups">,
): Omit<Kept, "adapter" | "version"> | null {
  try {
    const kept = JSON.parse(text) as Partial<Kept> | null;
    if (kept?.adapter !== gpu.info.key || kept.version !== TUNING_VERSION) return null;
    const variants = { ...PLAIN_VARIANTS };
    for (const job of Object.keys(variants) as TunedKernel[]) {
      const chosen = kept.variants?.[job];
      if (chosen === undefined || !usableVariants(job, gpu.features).includes(chosen)) return null;
      variants[job] = chosen;
    }
    const rowLanes: Record<RowJob, number> = { ...DEFAULT_ROW_LANES };
    for (const job of ROW_JOBS) {
      const chosen = kept.rowLanes?.[job];
      if (chosen === undefined || !usableRowLanes(job, gpu).includes(chosen)) return null;
      rowLanes[job] = chosen;
    }
    const { endsByLast } = kept;
    if (typeof endsByLast !== "boolean" || endsByLast && !gpu.ordersWorkgroups) return null;
    return { variants, rowLanes, endsByLast };
  } catch {
    return null; // measured again, and written anew
  }
}

async function measureAll(gpu: Gpu): Promise<KernelVariants> {
  const chosen: Record<TunedKernel, ProductName> = { ...PLAIN_VARIANTS };
  for (const job of Object.keys(chosen) as TunedKernel[]) {
    const candidates = usableVariants(job, gpu.features);
    if (candidates.length > 1) chosen[job] = await fastest(gpu, job, candidates);
  }
  return chosen;
}

/** A type of each family. */
const TYPES: Readonly<Record<string, "Q8_0" | "Q4_0" | "F16">> = {
  ...{ byte: "Q8_0", nibble: "Q4_0", float: "F16" },
};

async function fastest(
  gpu: Gpu,
  job: TunedKernel,
  candidates: readonly ProductName[],
): Promise<ProductName> {
  const [plain, ...others] = candidates;
  const before = gpu.variants;
  const type = TYPES[job.split("_")[1]];
  const trial = gpu.info.isFallback ? TRIALS.software : TRIALS.gpu;
  const bench = await TuningBench.create(gpu, type, job.startsWith("matvec") ? 1 : trial.many);
  try {
    const judge = await bench.run({ ...before, [job]: plain });
    let best = { name: plain, ms: judge.ms * GAIN };
    for (const name of others) {
      const { ms, out } = await bench.run({ ...before, [job]: name });
      if (ms < best.ms && agree(name, out, judge.out)) best = { name, ms };
    }
    return best.name;
  } finally {
    gpu.variants = before;
    bench.destroy();
  }
}

function agree(name: ProductName, a: Float32Array, b: Float32Array): boolean {
  const tolerance = needsOf(name).includes("int8") ? INT8_TOLERANCE : TOLERANCE;
  const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return a.every((value, i) => Math.abs(value - b[i]) <= tolerance * largest);
}

/** A matrix of made-up weights and some tokens to multiply. */
class TuningBench {
  readonly #gpu: Gpu;
  readonly #n: number;
  readonly #parts: Awaited<ReturnType<typeof makeParts>>;

  private constructor(gpu: Gpu, n: number, parts: Awaited<ReturnType<typeof makeParts>>) {
    this.#gpu = gpu;
    this.#n = n;
    this.#parts = parts;
  }

  static async create(gpu: Gpu, type: keyof typeof BLOCKS, n: number): Promise<TuningBench> {
    return new TuningBench(gpu, n, await makeParts(gpu, type, n));
  }

  /** The shortest time of some products, and what they are. */
  async run(variants: KernelVariants): Promise<{ ms: number; out: Float32Array }> {
    const gpu = this.#gpu;
    const { input, int8, matrices, workspace, x, to, back, trial } = this.#parts;
    gpu.variants = variants;
    const builder = new ProgramBuilder(gpu, input, int8);
    const repeats = this.#n === 1 ? trial.repeats : trial.manyRepeats;
    // The first one, which has weights, comes last.
    for (let i = repeats - 1; i >= 0; i--) {
      matmul(builder, { matrix: matrices[i % matrices.length], x, to });
    }
    const step = { n: this.#n, position: 0, m: 0 };
    const program = await builder.build([step]);
    const { offsetBytes, sizeBytes: bytes } = to;
    const out = new Float32Array(bytes / 4);
    let ms = Infinity;
    for (let round = 0; round < ROUNDS; round++) {
      input.write(step, null);
      const start = performance.now();
      const read = { to: back, from: workspace, offsetBytes, bytes };
      if (gpu.isQuick) {
        program.run(step, read);
        back.readInto(out);
      } else {
        await program.runLater(step, read);
        await back.readIntoLater(out);
      }
      ms = Math.min(ms, performance.now() - start);
    }
    return { ms, out };
  }

  destroy(): void {
    const { input, int8, matrices, workspace, back } = this.#parts;
    for (const matrix of matrices) matrix.destroy();
    back.destroy();
    this.#gpu.destroyBuffer(workspace);
    this.#gpu.destroyBuffer(input.buffer);
    destroyInt8Rows(this.#gpu, int8);
  }
}

/** Bytes of a block, and of these which one makes a small scale (a small f16) of two. */
const BLOCKS = { Q8_0: [34, 34], Q4_0: [18, 18], F16: [64, 2] } as const;

function madeUpWeights(type: keyof typeof BLOCKS, count: number): Uint8Array {
  const [blockBytes, period] = BLOCKS[type];
  const bytes = new Uint8Array(count / 32 * blockBytes);
  let state = 1;
  for (let i = 0; i < bytes.length; i++) {
    state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0;
    // The higher byte of an f16: 0.0078 or a little more.
    bytes[i] = i % period === 1 ? 0x20 : state >>> 24;
  }
  return bytes;
}

async function makeParts(gpu: Gpu, type: keyof typeof BLOCKS, n: number) {
  const trial = gpu.info.isFallback ? TRIALS.software : TRIALS.gpu;
  const { rows, columns } = trial;
  const input = await createStepInput(gpu, { maxTokens: n, ropes: [] });
  const int8 = await createInt8Rows(gpu, { tokens: n, columns });
  const matrices = [];
  for (let i = 0; i < trial.matrices; i++) {
    matrices.push(await createMatrix(gpu, "tuning", { type, rows, columns }));
  }
  matrices[0].write(madeUpWeights(type, rows * columns), { firstRow: 0 });
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const xBytes = n * columns * 4;
  const toBytes = n * rows * 4;
  const workspace = await gpu.createBuffer("tuning", xBytes + toBytes, usage);
  gpu.write(workspace, 0, Float32Array.from({ length: n * columns }, (_, i) => Math.sin(i)));
  const x: Rows = { buffer: workspace, offsetBytes: 0, sizeBytes: xBytes, stride: columns };
  const to: Rows = { buffer: workspace, offsetBytes: xBytes, sizeBytes: toBytes, stride: rows };
  const back = await createReadBack(gpu, toBytes);
  return { trial, input, int8, matrices, workspace, x, to, back };
}
