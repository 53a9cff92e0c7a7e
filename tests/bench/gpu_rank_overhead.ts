/**
 * What a GPU costs the thread that drives it, whatever the GPU: encoding, submitting and joining of
 * a decoded token, on a model of 32 layers so narrow that computing it is next to nothing.
 *
 *   quiet deno run -A tests/bench/gpu_rank_overhead.ts [--no-work]
 *
 * A software GPU computes on the same cores, and in the driver's part of submitting. `--no-work`:
 * dispatches have no workgroups, so that what is left is the cost of telling a GPU what to do.
 */
import { openGpu, tuneKernels } from "../../gpu/mod.ts";
import { Program } from "../../gpu/program.ts";
import { ReadBack } from "../../gpu/read_back.ts";
import { openLoneRank } from "../support/lone_gpu_rank.ts";
import { tunedAsReal } from "../support/tuning.ts";
import { tinyModel } from "../support/tiny_model.ts";

const LAYERS = 32;
const WARM_TOKENS = 60;
const TOKENS = 150;

/** Milliseconds so far, by what was done. */
const spent = { run: 0, read: 0 };

function timed<T extends object, K extends keyof T>(of: T, method: K, key: keyof typeof spent) {
  const original = of[method] as (...args: unknown[]) => unknown;
  of[method] = function (this: T, ...args: unknown[]) {
    const startMs = performance.now();
    try {
      return original.apply(this, args);
    } finally {
      spent[key] += performance.now() - startMs;
    }
  } as T[K];
}

if (Deno.args.includes("--no-work")) {
  const dispatch = GPUComputePassEncoder.prototype.dispatchWorkgroups;
  GPUComputePassEncoder.prototype.dispatchWorkgroups = function () {
    dispatch.call(this, 0, 0, 0);
  };
}
timed(Program.prototype, "run", "run");
timed(ReadBack.prototype, "readInto", "read");

const path = await Deno.makeTempFile({ suffix: ".gguf" });
await Deno.writeFile(
  path,
  tinyModel({ blockCount: LAYERS, type: "Q4_0", contextLength: 1024, vocabSize: 512 }),
);
try {
  for (const isAlone of [true, false, true, false]) await measure(isAlone);
} finally {
  await Deno.remove(path);
}

/** Processor time of this thread so far (Linux): waiting for a GPU, a software one too, is none. */
function threadCpuMs(): number {
  return Number(Deno.readTextFileSync("/proc/thread-self/schedstat").split(" ")[0]) / 1e6;
}

async function measure(isAlone: boolean): Promise<void> {
  const gpu = await openGpu({ adapter: "fallback-allowed" });
  // The dispatches that real GPUs have.
  await tuneKernels(gpu, tunedAsReal(gpu.info));
  const { decode } = await openLoneRank(path, gpu, isAlone);
  let totalMs = 0;
  let threadMs = 0;
  for (let token = 0; token < WARM_TOKENS + TOKENS; token++) {
    if (token === WARM_TOKENS) {
      totalMs = spent.run = spent.read = 0;
      threadMs = threadCpuMs();
    }
    const startMs = performance.now();
    decode(token);
    totalMs += performance.now() - startMs;
  }
  threadMs = threadCpuMs() - threadMs;
  gpu.close();
  const ms = (value: number) => (value / TOKENS).toFixed(3);
  const joins = isAlone ? 1 : 2 * LAYERS;
  console.log(
    `${isAlone ? "alone" : "beside others"}: the thread computes ${ms(threadMs)} ms a token, ` +
      `${(threadMs / TOKENS / joins).toFixed(4)} a join; by the clock ${ms(totalMs)}: ` +
      `running ${ms(spent.run)}, reading ${ms(spent.read)}, the rest ` +
      `${ms(totalMs - spent.run - spent.read)}`,
  );
}
