/**
 * What each dispatch of a decoded token takes, by the GPU's own timestamps: those that a rank alone
 * encodes are caught and run again, all of a kind one after another (each waits for the one before,
 * as in a token), and the token without them. The GPU is kept busy before and between: an idle one
 * has a fraction of its clock, and what is measured then says nothing.
 *
 *   deno run -A tests/bench/gpu_token_profile.ts MODEL [--software]
 *   e.g. of a model that `ganglion synth --shape mistral-7b --quant Q4_0 -o MODEL` makes
 */
import {
  describeGpu,
  type Gpu,
  GpuUnavailableError,
  measureCopyRates,
  openGpu,
  tuneKernels,
} from "../../gpu/mod.ts";
import { openLoneRank } from "../support/lone_gpu_rank.ts";
import { tunedAsReal } from "../support/tuning.ts";

const FIRST_POSITION = 512;
const WARM_TOKENS = 32;
const COPY_BYTES = 512 * 2 ** 20;
/** Tokens before and behind what is measured, and measurements, of which the median counts. */
const FILL = { before: 12, behind: 6, software: 0 };
const ROUNDS = 15;
const WARM_ROUNDS = 40;

/** A dispatch as it was encoded. */
interface Caught {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly counts: [number, number, number];
  /** Kernel, columns, workgroups. */
  readonly name: string;
  /** Of weights that it reads. */
  readonly bytes: number;
}

type SetBindGroup = (
  this: GPUComputePassEncoder,
  index: number,
  group: GPUBindGroup,
) => undefined;

const { setPipeline, dispatchWorkgroups } = GPUComputePassEncoder.prototype;
const setBindGroup = GPUComputePassEncoder.prototype.setBindGroup as SetBindGroup;

/** Catches what passes dispatch, once it is told to. */
class Catcher {
  readonly caught: Caught[] = [];
  isOn = false;
  readonly #bytes = new Map<GPUBindGroup, number>();

  constructor({ device }: Gpu) {
    const create = device.createBindGroup.bind(device);
    device.createBindGroup = (descriptor) => {
      const made = create(descriptor);
      const bindings = [...descriptor.entries].map(({ resource }) => resource as GPUBufferBinding);
      const weights = bindings.filter(({ buffer }) => buffer.label.includes(".weight"));
      this.#bytes.set(made, weights.reduce((sum, { buffer }) => sum + buffer.size, 0));
      return made;
    };
    this.#watch();
  }

  #watch(): void {
    const { caught } = this;
    const take = (pipeline: GPUComputePipeline, group: GPUBindGroup, counts: number[]) => {
      if (!this.isOn) return;
      const [kernel] = pipeline.label.split(" ");
      const columns = /"PIECES":(\d+)/.exec(pipeline.label);
      const [x, y = 1, z = 1] = counts;
      const name = `${kernel} ${columns ? `${columns[1]} pieces` : ""} × ${x * y * z}`;
      const bytes = this.#bytes.get(group) ?? 0;
      caught.push({ pipeline, group, counts: [x, y, z], name, bytes });
    };
    let pipeline: GPUComputePipeline, group: GPUBindGroup;
    const passes = GPUComputePassEncoder.prototype;
    passes.setPipeline = function (given) {
      setPipeline.call(this, pipeline = given);
    };
    passes.setBindGroup = function (
      this: GPUComputePassEncoder,
      index: number,
      given: GPUBindGroup,
    ) {
      setBindGroup.call(this, index, group = given);
    } as SetBindGroup;
    passes.dispatchWorkgroups = function (...counts) {
      take(pipeline, group, counts as number[]);
      dispatchWorkgroups.apply(this, counts);
    };
  }
}

function encode(pass: GPUComputePassEncoder, list: readonly Caught[]): void {
  for (const { pipeline, group, counts } of list) {
    setPipeline.call(pass, pipeline);
    setBindGroup.call(pass, 0, group);
    dispatchWorkgroups.apply(pass, counts);
  }
}

/** Times lists of dispatches, µs, while the GPU is busy. */
class Clock {
  readonly #gpu: Gpu;
  readonly #filler: readonly Caught[];
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #back: GPUBuffer;

  constructor(gpu: Gpu, filler: readonly Caught[]) {
    const { device } = gpu;
    this.#gpu = gpu;
    this.#filler = filler;
    this.#queries = device.createQuerySet({ type: "timestamp", count: 2 * ROUNDS });
    const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    const size = 16 * ROUNDS;
    this.#resolved = device.createBuffer({ size, usage: QUERY_RESOLVE | COPY_SRC });
    this.#back = device.createBuffer({ size, usage: COPY_DST | MAP_READ });
  }

  /** The median. */
  async time(list: readonly Caught[]): Promise<number> {
    const { device, info } = this.#gpu;
    const encoder = device.createCommandEncoder();
    const fill = (tokens: number) => {
      const pass = encoder.beginComputePass();
      for (let i = 0; i < (info.isFallback ? FILL.software : tokens); i++) {
        encode(pass, this.#filler);
      }
      pass.end();
    };
    fill(FILL.before);
    for (let round = 0; round < ROUNDS; round++) {
      const pass = encoder.beginComputePass({
        timestampWrites: {
          querySet: this.#queries,
          beginningOfPassWriteIndex: 2 * round,
          endOfPassWriteIndex: 2 * round + 1,
        },
      });
      encode(pass, list);
      pass.end();
    }
    fill(FILL.behind);
    encoder.resolveQuerySet(this.#queries, 0, 2 * ROUNDS, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#back, 0, 16 * ROUNDS);
    device.queue.submit([encoder.finish()]);
    await this.#back.mapAsync(GPUMapMode.READ);
    const stamps = new BigUint64Array(this.#back.getMappedRange().slice(0));
    this.#back.unmap();
    const all = Array.from(
      { length: ROUNDS },
      (_, round) => Number(stamps[2 * round + 1] - stamps[2 * round]) / 1e3,
    );
    return all.sort((a, b) => a - b)[ROUNDS >> 1];
  }
}

if (import.meta.main) {
  const [path] = Deno.args.filter((arg) => !arg.startsWith("--"));
  if (path === undefined) throw new Error("Which model? See the file's head");
  await main(path, Deno.args.includes("--software"));
}

/** Devices have timestamps from now on. */
function askForTimestamps(): void {
  const request = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = function (descriptor = {}) {
    const requiredFeatures = [...descriptor.requiredFeatures ?? [], "timestamp-query"];
    return request.call(this, {
      ...descriptor,
      requiredFeatures: requiredFeatures as GPUFeatureName[],
    });
  };
}

async function main(path: string, allowsSoftware: boolean): Promise<void> {
  askForTimestamps();
  const gpu = await openGpu({ adapter: allowsSoftware ? "fallback-allowed" : "default" })
    .catch((error) => {
      if (!(error instanceof GpuUnavailableError)) throw error;
      console.log(`No table: ${error.message}`);
      return null;
    });
  if (gpu === null) return;
  const { isFallback, description } = gpu.info;
  const { adapter } = await describeGpu();
  await tuneKernels(gpu, isFallback && adapter ? tunedAsReal(adapter) : null);
  console.log(`${description}, ${JSON.stringify([gpu.variants, gpu.rowLanes])}`);
  const { shader } = await measureCopyRates(gpu, isFallback ? 2 ** 20 : COPY_BYTES);
  console.log(`copies ${shader.toFixed(0)} GB/s, read and written`);
  const catcher = new Catcher(gpu);
  const { decode } = await openLoneRank(path, gpu, true, { contextLength: 1024 });
  for (let token = 0; token < WARM_TOKENS; token++) decode(FIRST_POSITION + token);
  catcher.isOn = true;
  decode(FIRST_POSITION + WARM_TOKENS); // what is encoded then is the next token
  catcher.isOn = false;
  await report(catcher.caught, new Clock(gpu, catcher.caught), isFallback ? 0 : WARM_ROUNDS);
  gpu.close();
}

async function report(token: readonly Caught[], clock: Clock, warmRounds: number): Promise<void> {
  for (let round = 0; round < warmRounds; round++) await clock.time([]);
  const all = await clock.time(token);
  const bytes = token.reduce((sum, each) => sum + each.bytes, 0);
  const rate = (of: number, us: number) => (of / us / 1e3).toFixed(0);
  console.log(
    `token: ${all.toFixed(0)} µs of ${token.length} dispatches, ${
      rate(bytes, all)
    } GB/s of weights`,
  );
  console.log("| dispatch | a token | µs each | GB/s | a token is shorter without, µs each |");
  console.log("|---|---|---|---|---|");
  for (const [name, list] of Map.groupBy(token, (each) => each.name)) {
    const each = await clock.time(list) / list.length;
    const without = await clock.time(token.filter((other) => other.name !== name));
    const gone = ((all - without) / list.length).toFixed(2);
    console.log(
      `| ${name} | ${list.length} | ${each.toFixed(2)} | ${rate(list[0].bytes, each)} | ${gone} |`,
    );
  }
}
