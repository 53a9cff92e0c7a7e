/**
 * What a decoded token dispatches on a GPU, caught while a rank alone encodes it, and how long such
 * dispatches take by the GPU's own timestamps. The GPU is kept busy before and between: an
 * idle one has a fraction of its clock, and what is measured then says nothing.
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
export interface Caught {
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
export class Clock {
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

/** Devices have timestamps from now on. */
export function askForTimestamps(): void {
  const request = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = function (descriptor = {}) {
    const requiredFeatures = [...descriptor.requiredFeatures ?? [], "timestamp-query"];
    return request.call(this, {
      ...descriptor,
      requiredFeatures: requiredFeatures as GPUFeatureName[],
    });
  };
}

/** A token of a model on the GPU that is there, and a clock that has been kept running. */
export interface Profiled {
  readonly gpu: Gpu;
  readonly layers: number;
  readonly token: readonly Caught[];
  /** The same token where the program is put together otherwise, if that was asked for. */
  readonly ways: readonly { readonly name: string; readonly token: readonly Caught[] }[];
  readonly clock: Clock;
}

/** Null, and a line that says why, where there is no GPU; else lines that say which it is. */
export async function openProfiled(
  path: string,
  { allowsSoftware, hasWays = false }: {
    readonly allowsSoftware: boolean;
    readonly hasWays?: boolean;
  },
): Promise<Profiled | null> {
  askForTimestamps();
  const gpu = await openGpu({ adapter: allowsSoftware ? "fallback-allowed" : "default" })
    .catch((error) => {
      if (!(error instanceof GpuUnavailableError)) throw error;
      console.log(`No table: ${error.message}`);
      return null;
    });
  if (gpu === null) return null;
  const { isFallback, description } = gpu.info;
  const { adapter } = await describeGpu();
  await tuneKernels(gpu, isFallback && adapter ? tunedAsReal(adapter) : null);
  const { variants, rowLanes, endsByLast } = gpu;
  console.log(`${description}, ${JSON.stringify([variants, rowLanes, { endsByLast }])}`);
  const { shader } = await measureCopyRates(gpu, isFallback ? 2 ** 20 : COPY_BYTES);
  console.log(`copies ${shader.toFixed(0)} GB/s, read and written`);
  const catcher = new Catcher(gpu);
  const { layers, token } = await catchToken(path, gpu, catcher);
  const ways = [];
  for (const [name, change] of hasWays ? waysOf(gpu) : []) {
    const { endsByLast, joinsEnds } = gpu;
    Object.assign(gpu, change);
    ways.push({ name, token: (await catchToken(path, gpu, catcher)).token });
    Object.assign(gpu, { endsByLast, joinsEnds });
  }
  const clock = new Clock(gpu, token);
  for (let round = 0; round < (isFallback ? 0 : WARM_ROUNDS); round++) await clock.time([]);
  return { gpu, layers, token, ways, clock };
}

/** How else a token's program can be put together. Each takes the model's memory once more. */
function waysOf({ endsByLast }: Gpu): [string, Partial<Pick<Gpu, "endsByLast" | "joinsEnds">>][] {
  return [
    [`way: attention ends ${endsByLast ? "apart" : "by its last workgroups"}`, {
      endsByLast: !endsByLast,
    }],
    ["way: norms at a token's ends are dispatches", { joinsEnds: false }],
  ];
}

/** A token of the model, with its weights on the GPU once more. */
async function catchToken(path: string, gpu: Gpu, catcher: Catcher) {
  const { decode, layers } = await openLoneRank(path, gpu, true, { contextLength: 1024 });
  for (let token = 0; token < WARM_TOKENS; token++) decode(FIRST_POSITION + token);
  const first = catcher.caught.length;
  catcher.isOn = true;
  decode(FIRST_POSITION + WARM_TOKENS); // what is encoded then is the next token
  catcher.isOn = false;
  return { layers, token: catcher.caught.slice(first) };
}
