/**
 * How near the kernels come to what a GPU can do: bytes of weights a second of one token's products
 * against the rate at which the same card copies memory, and multiply-adds a second of many
 * tokens' products, at the shapes of Mistral-7B in Q4_0.
 *
 *   deno run --no-prompt --allow-read --allow-env tests/bench/gpu_kernels.ts [--software]
 *
 * Without a real GPU it says so; --software measures llvmpipe, at small shapes, which says nothing
 * about a GPU but shows that the command works.
 */
import {
  createInt8Rows,
  createMatrix,
  createStepInput,
  destroyInt8Rows,
  type Gpu,
  GpuUnavailableError,
  matmul,
  measureCopyRates,
  openGpu,
  ProgramBuilder,
  type Rows,
  tuneKernels,
} from "../../gpu/mod.ts";

/** A product of the model, and how often a token makes it. */
interface Shape {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly count: number;
}

/** Mistral-7B: 32 layers, d 4096, 8 of 32 heads are key/value heads, 14336 neurons. */
const MISTRAL: readonly Shape[] = [
  { name: "query, output", rows: 4096, columns: 4096, count: 64 },
  { name: "key, value", rows: 1024, columns: 4096, count: 64 },
  { name: "gate, up", rows: 14336, columns: 4096, count: 64 },
  { name: "down", rows: 4096, columns: 14336, count: 32 },
  { name: "vocabulary", rows: 32000, columns: 4096, count: 1 },
];
const TOKENS = 512;
const COPY_BYTES = 512 * 2 ** 20;
/** Products of a measurement. */
const REPEATS = 20;
/** On software everything is so much smaller. */
const SHRINK = 16;
const BLOCK_BYTES = 18;

if (import.meta.main) await main(Deno.args.includes("--software"));

async function main(allowsSoftware: boolean): Promise<void> {
  let gpu: Gpu;
  try {
    gpu = await openGpu({ adapter: allowsSoftware ? "fallback-allowed" : "default" });
  } catch (error) {
    if (!(error instanceof GpuUnavailableError)) throw error;
    console.log(`No table: ${error.message}`);
    return;
  }
  const shrink = gpu.info.isFallback ? SHRINK : 1;
  await tuneKernels(gpu, null);
  const { driver, shader } = await measureCopyRates(gpu, COPY_BYTES / shrink / shrink);
  const copy = 1e9 * Math.max(driver, shader);
  console.log(
    `${gpu.info.description}; copies ${(copy / 1e9).toFixed(1)} GB/s, read and written ` +
      `(its driver ${driver.toFixed(1)}, a shader ${shader.toFixed(1)})`,
  );
  console.log("| product | 1 token | of copying | " + `${TOKENS / shrink} tokens |`);
  console.log("|---|---|---|---|");
  let one = 0;
  let many = 0;
  for (const { name, rows, columns, count } of MISTRAL) {
    const shape = { rows: rows / shrink, columns: columns / shrink };
    const seconds = await productSeconds(gpu, shape, 1);
    const rate = shape.rows * shape.columns / 32 * BLOCK_BYTES / seconds;
    const tokens = TOKENS / shrink;
    const manySeconds = await productSeconds(gpu, shape, tokens);
    const flops = 2 * shape.rows * shape.columns * tokens / manySeconds;
    console.log(
      `| ${name} ${shape.rows} × ${shape.columns} | ${(seconds * 1e6).toFixed(1)} µs, ` +
        `${(rate / 1e9).toFixed(1)} GB/s | ${(100 * rate / copy).toFixed(0)} % | ` +
        `${(manySeconds * 1e3).toFixed(2)} ms, ${(flops / 1e12).toFixed(2)} TFLOP/s |`,
    );
    one += count * seconds;
    many += count * manySeconds / tokens;
  }
  const scale = gpu.info.isFallback ? "; shapes are shrunk, so this is of no model" : "";
  console.log(
    `products alone allow ${(1 / one).toFixed(1)} tokens/s decoding, ` +
      `${(1 / many).toFixed(0)} tokens/s prefill${scale}`,
  );
}

/** Seconds of one product of a matrix of random Q4_0 with n tokens. */
async function productSeconds(
  gpu: Gpu,
  { rows, columns }: { rows: number; columns: number },
  n: number,
): Promise<number> {
  const input = await createStepInput(gpu, { maxTokens: n, ropes: [] });
  const bytes = new Uint8Array(rows * columns / 32 * BLOCK_BYTES).map((_, i) =>
    i % BLOCK_BYTES === 1 ? 0x20 : 0x97 * i
  );
  // More of them than a cache holds, as in a model.
  const matrices = await Promise.all(
    Array.from(
      { length: Math.min(1 + REPEATS, Math.ceil(COPY_BYTES / bytes.length)) },
      () => createMatrix(gpu, "w", { type: "Q4_0", rows, columns }),
    ),
  );
  for (const matrix of matrices) matrix.write(bytes, { firstRow: 0 });
  const place = async (width: number): Promise<Rows> => {
    const buffer = await gpu.createBuffer("rows", n * width * 4);
    return { buffer, offsetBytes: 0, sizeBytes: n * width * 4, stride: width };
  };
  const [x, to] = [await place(columns), await place(rows)];
  const step = { n, position: 0, m: 0 };
  const int8 = await createInt8Rows(gpu, { tokens: n, columns });
  const programOf = async (repeats: number) => {
    const builder = new ProgramBuilder(gpu, input, int8);
    for (let i = 0; i < repeats; i++) {
      matmul(builder, { matrix: matrices[i % matrices.length], x, to });
    }
    return await builder.build([step]);
  };
  const programs = new Map([1, 1 + REPEATS].map((repeats) => [repeats, programOf(repeats)]));
  input.write(step, null);
  const ms = await difference(async (repeats) => {
    const program = await programs.get(repeats);
    const start = performance.now();
    program?.run(step);
    await waitFor(gpu);
    return performance.now() - start;
  });
  for (const matrix of matrices) matrix.destroy();
  for (const { buffer } of [x, to, input]) gpu.destroyBuffer(buffer);
  destroyInt8Rows(gpu, int8);
  return ms / 1000;
}

/** Milliseconds of one of REPEATS, by what they take more than one: the least of eight. */
async function difference(time: (repeats: number) => Promise<number>): Promise<number> {
  let [one, many] = [Infinity, Infinity];
  // A GPU that was idle is slow for some tens of milliseconds.
  for (let round = 0; round < 8; round++) {
    one = Math.min(one, await time(1));
    many = Math.min(many, await time(1 + REPEATS));
  }
  return Math.max(1e-6, many - one) / REPEATS;
}

async function waitFor(gpu: Gpu): Promise<void> {
  if (gpu.isQuick) gpu.drain();
  else await gpu.drained();
}
