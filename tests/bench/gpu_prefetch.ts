/**
 * What it would bring to read the next product's weights into the GPU's L2 cache while something
 * else computes: tokens of a model alone on the GPU, as they are and with a dispatch more in front
 * of products. That dispatch only reads, and shares nothing with others that is written, so that it
 * needs no barrier and runs beside what was before it. Nothing of this is in the product.
 *
 *   deno run -A tests/bench/gpu_prefetch.ts MODEL [--software]
 *   e.g. of a model that `ganglion synth --shape mistral-7b --quant Q4_0 -o MODEL` makes
 */
import { describeGpu, GpuUnavailableError, openGpu, tuneKernels } from "../../gpu/mod.ts";
import { openLoneRank } from "../support/lone_gpu_rank.ts";
import { tunedAsReal } from "../support/tuning.ts";

/** Before which dispatches: those behind attention, or all that multiply. */
type Where = "nowhere" | "behind attention" | "before products";

/** Where, and how much of the weights, MiB. */
const TRIALS: readonly (readonly [Where, number])[] = [
  ["nowhere", 0],
  ...[2, 4, 9, 16].map((mib) => ["behind attention", mib] as const),
  ...[1, 2, 4].map((mib) => ["before products", mib] as const),
];
const ROUNDS = 3;
const FIRST_POSITION = 512;
const WARM_TOKENS = 8;
const TOKENS = 48;

/** What a workgroup reads: 256 invocations, four vec4 each. */
const GROUP_BYTES = 256 * 4 * 16;
/** Smaller bindings are no weights that are worth it; of software's tiny models all are. */
const WEIGHT_BYTES_MIN = 2 ** 20;

const SHADER = `
@group(0) @binding(0) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> sink: array<u32>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let at = group.x * 1024u + lane;
  let sum = weights[at] ^ weights[at + 256u] ^ weights[at + 512u] ^ weights[at + 768u];
  // Hardly ever: what is written does not matter, but that it could be keeps the reads.
  if (all(sum == vec4<u32>(0x5bd1e995u))) {
    sink[0] = 1u;
  }
}`;

/** A dispatch in front of another one. */
interface Prefetch {
  readonly group: GPUBindGroup;
  readonly weightBytes: number;
}

type SetBindGroup = (
  this: GPUComputePassEncoder,
  index: number,
  group: GPUBindGroup,
) => undefined;

/** Puts dispatches between those that a program encodes. */
class Injector {
  where: Where = "nowhere";
  bytes = 0;
  /** So far. */
  injected = 0;
  readonly #device: GPUDevice;
  readonly #pipeline: GPUComputePipeline;
  readonly #weightBytesMin: number;
  readonly #byGroup = new Map<GPUBindGroup, Prefetch>();

  constructor(device: GPUDevice, weightBytesMin: number) {
    this.#device = device;
    this.#weightBytesMin = weightBytesMin;
    const module = device.createShaderModule({ code: SHADER });
    this.#pipeline = device.createComputePipeline({ layout: "auto", compute: { module } });
    this.#watchGroups();
    this.#watchPasses();
  }

  /** Of every bind group with weights, one that reads them. */
  #watchGroups(): void {
    const device = this.#device;
    const create = device.createBindGroup.bind(device);
    device.createBindGroup = (descriptor) => {
      const made = create(descriptor);
      const bindings = [...descriptor.entries].map(({ resource }) => resource as GPUBufferBinding);
      const [largest] = bindings.filter(isMatrix)
        .toSorted((a, b) => bytesOf(b) - bytesOf(a));
      if (largest && bytesOf(largest) >= this.#weightBytesMin) {
        // A sink of its own: one for all would be a barrier.
        const sink = device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE });
        const group = create({
          layout: this.#pipeline.getBindGroupLayout(0),
          entries: [{ binding: 0, resource: largest }, { binding: 1, resource: { buffer: sink } }],
        });
        this.#byGroup.set(made, { group, weightBytes: bytesOf(largest) });
      }
      return made;
    };
  }

  #watchPasses(): void {
    const { setPipeline, dispatchWorkgroups } = GPUComputePassEncoder.prototype;
    const setBindGroup = GPUComputePassEncoder.prototype.setBindGroup as SetBindGroup;
    let pipeline: GPUComputePipeline | null = null;
    let group: GPUBindGroup | null = null;
    /** Attention is behind the product before. */
    let hasAttended = false;
    GPUComputePassEncoder.prototype.setPipeline = function (given) {
      setPipeline.call(this, pipeline = given);
    };
    const inject = (pass: GPUComputePassEncoder) => {
      const prefetch = this.#byGroup.get(group!);
      if (prefetch === undefined || !this.#isWanted(hasAttended)) return;
      hasAttended = false;
      const bytes = Math.min(this.bytes, prefetch.weightBytes);
      setPipeline.call(pass, this.#pipeline);
      setBindGroup.call(pass, 0, prefetch.group);
      dispatchWorkgroups.call(pass, Math.ceil(bytes / GROUP_BYTES));
      setPipeline.call(pass, pipeline!);
      setBindGroup.call(pass, 0, group!);
      this.injected++;
    };
    GPUComputePassEncoder.prototype.setBindGroup = function (
      this: GPUComputePassEncoder,
      index: number,
      given: GPUBindGroup,
    ) {
      setBindGroup.call(this, index, group = given);
    } as SetBindGroup;
    GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...counts) {
      inject(this);
      hasAttended ||= pipeline!.label.startsWith("attention");
      dispatchWorkgroups.apply(this, counts);
    };
  }

  #isWanted(hasAttended: boolean): boolean {
    return this.where === "before products" || this.where === "behind attention" && hasAttended;
  }
}

/** Buffers of weights are called as their tensors are. */
function isMatrix({ buffer }: GPUBufferBinding): boolean {
  return buffer.label.includes(".weight");
}

function bytesOf({ buffer, offset = 0, size }: GPUBufferBinding): number {
  return size ?? buffer.size - offset;
}

if (import.meta.main) {
  const [path] = Deno.args.filter((arg) => !arg.startsWith("--"));
  if (path === undefined) throw new Error("Which model? See the file's head");
  await main(path, Deno.args.includes("--software"));
}

async function main(path: string, allowsSoftware: boolean): Promise<void> {
  const gpu = await openGpu({ adapter: allowsSoftware ? "fallback-allowed" : "default" })
    .catch((error) => {
      if (!(error instanceof GpuUnavailableError)) throw error;
      console.log(`No table: ${error.message}`);
      return null;
    });
  if (gpu === null) return;
  const { isFallback } = gpu.info;
  const { adapter } = await describeGpu();
  await tuneKernels(gpu, isFallback && adapter ? tunedAsReal(adapter) : null);
  const injector = new Injector(gpu.device, isFallback ? 1 : WEIGHT_BYTES_MIN);
  const { decode } = await openLoneRank(path, gpu, true, { contextLength: 1024 });
  const medians = TRIALS.map((): number[] => []);
  const counts = TRIALS.map(() => 0);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, [where, mib]] of TRIALS.entries()) {
      injector.where = where;
      injector.bytes = mib * 2 ** 20;
      const ms = time(decode, () => injector.injected = 0);
      counts[index] = injector.injected / TOKENS;
      medians[index].push(ms);
    }
  }
  console.log(`${gpu.info.description}; ms a token, medians of ${TOKENS}, by rounds`);
  console.log("| prefetch | MiB | dispatches more | ms a token |\n|---|---|---|---|");
  for (const [index, [where, mib]] of TRIALS.entries()) {
    const ms = medians[index].map((each) => each.toFixed(3)).join(", ");
    console.log(`| ${where} | ${mib} | ${counts[index].toFixed(0)} | ${ms} |`);
  }
  gpu.close();
}

/** Commands that were encoded ahead for the trial before are gone when `begin` is called. */
function time(decode: (position: number) => void, begin: () => void): number {
  const ms: number[] = [];
  for (let token = 0; token < WARM_TOKENS + TOKENS; token++) {
    if (token === WARM_TOKENS) begin();
    const startMs = performance.now();
    decode(FIRST_POSITION + token);
    if (token >= WARM_TOKENS) ms.push(performance.now() - startMs);
  }
  return ms.toSorted((a, b) => a - b)[TOKENS >> 1];
}
