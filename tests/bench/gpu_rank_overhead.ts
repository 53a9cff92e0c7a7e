/**
 * What a GPU costs the thread that drives it, whatever the GPU: encoding, submitting and joining of
 * a decoded token, on a model of 32 layers so narrow that computing it is next to nothing.
 *
 *   quiet deno run -A tests/bench/gpu_rank_overhead.ts
 */
import { openGpu } from "../../gpu/mod.ts";
import { Program } from "../../gpu/program.ts";
import { ReadBack } from "../../gpu/read_back.ts";
import { openGguf, TensorReader } from "../../src/gguf/mod.ts";
import { type GpuPart, planModel } from "../../src/llm/mod.ts";
import { createArenaMemory } from "../../src/memory/arena.ts";
import { Control } from "../../src/memory/control.ts";
import { controlWords, STEP_KIND_FORWARD } from "../../src/memory/control_layout.ts";
import { describeModel, ropeFrequencies } from "../../src/model/mod.ts";
import { forward } from "../../src/rank/forward.ts";
import { controlSize } from "../../src/rank/open_rank.ts";
import { GpuRank } from "../../src/rank/gpu/gpu_rank.ts";
import { loadWeights } from "../../src/rank/load_weights.ts";
import { instantiateKernels, loadKernelModule } from "../../wasm/mod.ts";
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

/** Beside others the joins find everybody there: the other rank never computes. */
async function measure(isAlone: boolean): Promise<void> {
  const file = openGguf(path);
  const model = describeModel(file);
  const module = await loadKernelModule();
  const part: GpuPart = {
    share: { heads: 1, neurons: [isAlone ? 1 : 0.5], hasOutput: true, layers: LAYERS },
    ...{ isAlone, mayBeSoftware: true, isByFrequency: false, priority: "normal" },
  };
  const plans = planModel({ file, model }, module, { threads: 1 }, part);
  const rankIndex = plans.length - 1;
  const plan = plans[rankIndex];
  const memories = plans.map((each) => each.arenas.map(createArenaMemory));
  const size = 4 * controlWords(controlSize(plan));
  const control = new Control(new SharedArrayBuffer(size), {
    ...{ ...controlSize(plan), rankCount: 1, leads: true },
  });
  using reader = TensorReader.open({ parts: file.parts });
  const kernels = memories[rankIndex].map((memory) => instantiateKernels(module, memory));
  const { tensors } = file;
  const own = memories[rankIndex];
  loadWeights({ plan, tensors, reader, kernels, memories: own, onProgress: () => {} });
  const gpu = await openGpu({ adapter: "fallback-allowed" });
  const rank = await GpuRank.open({
    ...{ gpu, control, tensors, reader, plans, rankIndex, kernels, memories },
    config: model.config,
    ropeFrequencies: model.config.ropes.map((rope) => ropeFrequencies(rope, null)),
    onProgress: () => {},
  });
  const step = control.newStep();
  let totalMs = 0;
  let threadMs = 0;
  for (let token = 0; token < WARM_TOKENS + TOKENS; token++) {
    if (token === WARM_TOKENS) {
      totalMs = spent.run = spent.read = 0;
      threadMs = threadCpuMs();
    }
    const startMs = performance.now();
    control.stepIds()[0] = 5 + token;
    step.segments.set([0, token, 1, 1]);
    rank.begin({ ...step, kind: STEP_KIND_FORWARD, tokenCount: 1, segmentCount: 1 });
    forward(rank);
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
