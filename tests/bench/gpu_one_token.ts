/**
 * The products of a decoded token as a layer of Mistral-7B in Q4_0 makes them (heads, output, gates
 * and ups, down, with all that they do besides), by numbers of invocations that share a row. What
 * the autotune chooses at 4096 × 4096 should be the best here, too. Only a real GPU can say.
 *
 *   deno run --no-prompt --allow-read --allow-env tests/bench/gpu_one_token.ts [--software]
 */
import { GpuUnavailableError, openGpu, tuneKernels } from "../../gpu/mod.ts";
import { type RowJob, usableRowLanes } from "../../gpu/row_lanes.ts";
import { openRowBench } from "../../gpu/tune_rows.ts";

/** Rows and columns of what a layer multiplies. */
const PRODUCTS: readonly { job: RowJob; name: string; rows: number; columns: number }[] = [
  { job: "heads", name: "queries, keys, values", rows: 6144, columns: 4096 },
  { job: "joined", name: "output", rows: 4096, columns: 4096 },
  { job: "gated", name: "gates, ups", rows: 28672, columns: 4096 },
  { job: "joined", name: "down", rows: 4096, columns: 14336 },
];
const BLOCK_BYTES = 18;
/** Together more than a cache holds. */
const MATRICES_BYTES = 512 * 2 ** 20;
const REPEATS = 64;
/** On software everything is so much smaller. */
const SHRINK = 16;

if (import.meta.main) await main(Deno.args.includes("--software"));

async function main(allowsSoftware: boolean): Promise<void> {
  const gpu = await openGpu({ adapter: allowsSoftware ? "fallback-allowed" : "default" })
    .catch((error) => {
      if (!(error instanceof GpuUnavailableError)) throw error;
      console.log(`No table: ${error.message}`);
      return null;
    });
  if (gpu === null) return;
  const shrink = gpu.info.isFallback ? SHRINK : 1;
  await tuneKernels(gpu, null);
  if (gpu.info.isFallback) gpu.variants = { ...gpu.variants, matvec_nibble: "matvec_int8" };
  const chosen = gpu.rowLanes;
  console.log(`${gpu.info.description}, ${JSON.stringify(gpu.variants)}`);
  console.log("| product | invocations of a row | µs | GB/s |\n|---|---|---|---|");
  for (const { job, name, ...shape } of PRODUCTS) {
    const [rows, columns] = [shape.rows / shrink, shape.columns / shrink];
    const bytes = rows * columns / 32 * BLOCK_BYTES;
    const matrices = Math.ceil(MATRICES_BYTES / shrink / shrink / bytes);
    const trial = { rows, columns, matrices, repeats: REPEATS };
    const bench = await openRowBench(gpu, trial);
    for (const lanes of usableRowLanes(job, gpu)) {
      gpu.rowLanes = { ...chosen, [job]: lanes };
      const us = await bench.time(job) * 1e3 / REPEATS;
      const mark = lanes === chosen[job] ? " (chosen)" : "";
      const rate = (bytes / us / 1e3).toFixed(0);
      console.log(
        `| ${name} ${rows} × ${columns} | ${lanes}${mark} | ${us.toFixed(1)} | ${rate} |`,
      );
    }
    bench.close();
  }
  gpu.rowLanes = chosen;
}
