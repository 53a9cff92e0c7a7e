/**
 * What lies between one token's kernels and the next one's, on the thread that drives a GPU: from
 * the end of the wait until the next token's first commands are submitted. A model of 32 layers,
 * narrow, with 32,000 words; greedy, or with `--sampled` as requests are by default. Dispatches
 * have no workgroups and the thread is kept for as long as a GPU would take, so software stands
 * for any GPU: what a real one's driver and its interrupts add is not in it.
 *
 *   quiet deno run -A tests/bench/gpu_token_gap.ts [--sampled] [--tokens N]
 *
 * With --tokens a wait is for so many tokens; left out, for one.
 */
import { tunedAsReal } from "../support/tuning.ts";
import { describeGpu } from "../../gpu/mod.ts";
import { Leader } from "../../src/engine/leader.ts";
import { Sampler } from "../../src/engine/sampler.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { type GpuPart, planModel } from "../../src/llm/mod.ts";
import { createArenaMemory } from "../../src/memory/arena.ts";
import { Control } from "../../src/memory/control.ts";
import { controlWords } from "../../src/memory/control_layout.ts";
import { describeModel } from "../../src/model/mod.ts";
import { GpuRank } from "../../src/rank/gpu/gpu_rank.ts";
import { TokenChain } from "../../src/rank/gpu/token_chain.ts";
import { RankRunner } from "../../src/rank/open_rank.ts";
import { controlSize } from "../../src/rank/plan/control_size.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { tinyModel } from "../support/tiny_model.ts";

const LAYERS = 32;
const VOCABULARY = 32_000;
const WARM_TOKENS = 500;
const TOKENS = 400;
/** Tokens of a wait. */
const AT_ONCE = Deno.args.includes("--tokens")
  ? Number(Deno.args[Deno.args.indexOf("--tokens") + 1])
  : 1;
/** What a token takes a GPU; by then software that is given nothing to compute is done, too. */
const TOKEN_MS = 2.4;

/** Moments: [name, ms], "<" where something begins and ">" where it ends. */
type Moment = readonly [string, number];

/** Of the token under way, and of those before. */
let moments: Moment[] = [];
const tokens: Moment[][] = [];

/** Notes when a method is entered and left. */
function watch<T extends object, K extends keyof T>(of: T, method: K, name: string) {
  const original = of[method] as (...args: unknown[]) => unknown;
  of[method] = function (this: T, ...args: unknown[]) {
    moments.push([`${name} <`, performance.now()]);
    try {
      return original.apply(this, args);
    } finally {
      moments.push([`${name} >`, performance.now()]);
    }
  } as T[K];
}

/** Waits are for several tokens. */
let isWarm = false;

/** As long as a GPU would take since the step's first submission. */
function waitForGpu(): void {
  const submitted = moments.find(([name]) => name === "submit >");
  const endMs = (submitted?.[1] ?? 0) + TOKEN_MS * (isWarm ? AT_ONCE : 1);
  while (performance.now() < endMs) { /* the thread would sleep */ }
}

// Dispatches cost what they cost, and compute nothing; but steps of a chain have to follow.
let label = "";
const { setPipeline } = GPUComputePassEncoder.prototype;
GPUComputePassEncoder.prototype.setPipeline = function (pipeline) {
  label = pipeline.label;
  setPipeline.call(this, pipeline);
};
const dispatch = GPUComputePassEncoder.prototype.dispatchWorkgroups;
GPUComputePassEncoder.prototype.dispatchWorkgroups = function () {
  const groups = label.startsWith("advance") ? 1 : 0;
  dispatch.call(this, groups, groups, groups);
};

const mapAsync = GPUBuffer.prototype.mapAsync;
GPUBuffer.prototype.mapAsync = function (...args) {
  waitForGpu();
  moments.push(["map <", performance.now()]);
  const promise = mapAsync.apply(this, args);
  moments.push(["map >", performance.now()]);
  return promise;
};
watch(GPUBuffer.prototype, "getMappedRange", "range");
watch(GPUBuffer.prototype, "unmap", "unmap");
watch(GPUQueue.prototype, "submit", "submit");
watch(GPUQueue.prototype, "writeBuffer", "write");
watch(RankRunner.prototype, "runStep", "step");
watch(Sampler.prototype, "sample", "sample");
watch(Control.prototype, "announceOutput", "announce");
watch(GpuRank.prototype, "begin", "begin");
watch(GpuRank.prototype, "embed", "embed");
watch(GpuRank.prototype, "joinEmbedding", "joinEmbedding");

const path = await Deno.makeTempFile({ suffix: ".gguf" });
const shape = { blockCount: LAYERS, type: "Q4_0" as const, contextLength: 1024 };
await Deno.writeFile(path, tinyModel({ ...shape, vocabSize: VOCABULARY }));
try {
  await measure();
} finally {
  await Deno.remove(path);
}

async function openLeader() {
  const file = openGguf(path);
  const model = describeModel(file);
  const module = await loadKernelModule();
  const part: GpuPart = {
    share: { heads: 1, neurons: [1], hasOutput: true, layers: LAYERS },
    ...{ isAlone: true, mayBeSoftware: true, isByFrequency: false, priority: "normal" },
  };
  const plans = planModel({ file, model }, module, { threads: 1 }, part);
  const { adapter } = await describeGpu();
  const runner = await RankRunner.openOnGpu({
    rankIndex: 0,
    plans,
    config: model.config,
    ...{ tensors: file.tensors, parts: file.parts, module },
    memories: [plans[0].arenas.map(createArenaMemory)],
    controlBuffer: new SharedArrayBuffer(4 * controlWords(controlSize(plans[0]))),
    gpu: {
      ...{
        mayBeSoftware: true,
        priority: "normal",
        memoryBytes: null,
        lossAtStep: null,
        waitMs: 1,
      },
      tuning: adapter ? tunedAsReal(adapter) : null,
    },
    ...{ observation: null, streams: null },
  }, () => {});
  Object.assign(runner.chain!, { tokensMax: AT_ONCE });
  return { leader: new Leader(runner, { waitMs: Infinity }), runner };
}

async function measure(): Promise<void> {
  const { leader, runner } = await openLeader();
  const { control } = runner;
  const sampling = Deno.args.includes("--sampled") ? { seed: 1 } : { temperature: 0 };
  const request = { ids: [5, 6], maxTokens: WARM_TOKENS + TOKENS + 50, sampling, endIds: [] };
  leader.begin(request, 0, { done: () => {}, failed: (error) => console.log(error) });
  // What computes nothing chooses nothing: some ids that are likely, and the one that is chosen.
  const ids = Int32Array.from({ length: 64 }, (_, i) => 70 * i);
  const best = { count: 64, ids, logits: Float32Array.from(ids, (_, i) => 20 - i) };
  TokenChain.prototype.bestAt = () => best;
  TokenChain.prototype.idAt = () => control.outputIds(0)[control.outputCount(0) - 1];
  let submissions = 0;
  const { submit } = GPUQueue.prototype;
  GPUQueue.prototype.submit = function (...args) {
    submissions++;
    return submit.apply(this, args);
  };
  for (let token = 0; token < WARM_TOKENS + TOKENS; token += AT_ONCE) {
    isWarm = token > 10 * AT_ONCE;
    if (token <= WARM_TOKENS) submissions = 0;
    void control.outputChanged(control.outputVersion);
    moments.push(["turn <", performance.now()]);
    leader.step();
    if (token / AT_ONCE % 20 === 0) await new Promise((resolve) => setTimeout(resolve));
    // A token's moments begin and end with waits.
    const at = moments.findLastIndex(([name]) => name === "map <");
    if (token >= WARM_TOKENS) tokens.push(moments.slice(0, at));
    moments = moments.slice(at);
  }
  runner.close();
  console.log(`${submissions / TOKENS} submissions a token`);
  report();
}

/** Medians and spread of the steps between moments, for tokens whose moments are the usual ones. */
function report(): void {
  const gaps = tokens.map((token) => token.slice(0, firstSubmit(token) + 1));
  const kinds = Map.groupBy(gaps, (gap) => gap.map(([name]) => name).join());
  const [usual] = [...kinds.values()].toSorted((a, b) => b.length - a.length);
  console.log(`${usual.length} of ${gaps.length} tokens`);
  console.log("| until | µs, median | 10 % | 90 % |\n|---|---|---|---|");
  for (let i = 1; i < usual[0].length; i++) {
    row(usual[0][i][0], usual.map((gap) => gap[i][1] - gap[i - 1][1]));
  }
  row("all", usual.map((gap) => gap.at(-1)![1] - gap[0][1]));
  // Where tokens go ahead, the GPU has until then to compute those.
  row("until the second submission", tokens.map((token) => secondSubmit(token) - token[0][1]));
  row(
    "beside the GPU, of all tokens of a wait",
    tokens.map((token) => token.at(-1)![1] - token[firstSubmit(token)][1]),
  );
}

function firstSubmit(token: readonly Moment[]): number {
  return token.findIndex(([name]) => name === "submit >");
}

function secondSubmit(token: readonly Moment[]): number {
  return token.filter(([name]) => name === "submit >")[1][1];
}

function row(name: string, ms: readonly number[]): void {
  const sorted = ms.toSorted((a, b) => a - b);
  const at = (share: number) => (1e3 * sorted[Math.floor(share * sorted.length)]).toFixed(1);
  console.log(`| ${name} | ${at(0.5)} | ${at(0.1)} | ${at(0.9)} |`);
}
