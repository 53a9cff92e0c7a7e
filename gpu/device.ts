/**
 * A GPU that is open: its device, buffers within its limits, waiting, and what has gone wrong.
 * Knows bytes and shaders; nothing of models, files or ranks.
 *
 * In Deno a wait can be had at once: mapping a buffer polls the GPU until it is idle, and once a
 * buffer was mapped and awaited ("primed"), later mappings are there when the call comes back.
 * Elsewhere waits are awaited.
 */
import { check } from "../src/base/check.ts";
import { MiB } from "../src/base/units.ts";
import {
  type AdapterChoice,
  adapterKey,
  type AdapterSource,
  chooseAdapter,
  isSoftware,
  requestDevice,
} from "./adapter.ts";
import { GpuLostError, GpuOutOfMemoryError } from "./errors.ts";
import type { Feature } from "./kernels.ts";
import { Pipelines } from "./pipelines.ts";
import { DEFAULT_ROW_LANES, type RowLanes } from "./row_lanes.ts";
import { type KernelVariants, PLAIN_VARIANTS } from "./variants.ts";

/** Whether the desktop that shares the GPU comes first. */
export type GpuPriority = "normal" | "background";

export interface GpuOptions {
  /** "default": a real GPU or none. "fallback-allowed": software, too; for tests. */
  readonly adapter?: AdapterChoice;
  readonly priority?: GpuPriority;
  /** Most bytes of all buffers together; left out: what the adapter gives. */
  readonly memoryBytes?: number;
  /** Left out: the runtime's own. */
  readonly source?: AdapterSource;
}

/** Who computes. */
export interface GpuInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  /** A program on the CPU. */
  readonly isFallback: boolean;
  /** Names the adapter where measurements are kept. */
  readonly key: string;
}

// Numbers of GPUBufferUsage, which a worker of some hosts has no object for.
const STORAGE = 0x80;
const WRITABLE = 0x08;

/** writeBuffer keeps what it is given until a submission: so much of it at most. */
const STAGED_BYTES_MAX = 32 * MiB;

/** Words of `Gpu.counters`. */
export const COUNTERS_MAX = 4096;

/**
 * Opens the GPU.
 * @throws {GpuUnavailableError} when there is none, or only software and that is not wanted.
 */
export async function openGpu(options: GpuOptions = {}): Promise<Gpu> {
  const { adapter: choice = "default", priority = "normal", source = navigator.gpu } = options;
  const { memoryBytes = Infinity } = options;
  const adapter = await chooseAdapter(source, choice);
  const device = await requestDevice(adapter);
  const { vendor, architecture, device: name, description } = adapter.info;
  const info = {
    vendor,
    architecture,
    device: name,
    description,
    isFallback: isSoftware(adapter),
    key: adapterKey(adapter.info),
  };
  return await Gpu.open(device, info, { priority, memoryBytes });
}

/** How an open GPU may be used. */
interface GpuUse {
  readonly priority: GpuPriority;
  readonly memoryBytes: number;
}

export class Gpu {
  readonly device: GPUDevice;
  readonly info: GpuInfo;
  readonly priority: GpuPriority;
  readonly pipelines: Pipelines;
  /** What shaders may use beyond WebGPU's core. */
  readonly features: ReadonlySet<Feature>;
  /** Which of several shaders for the same job programs take; `tuneKernels` chooses. */
  variants: KernelVariants = PLAIN_VARIANTS;
  /** Invocations of a row in products of one token; `tuneKernels` chooses. */
  rowLanes: RowLanes = DEFAULT_ROW_LANES;
  /** The ends of a token take as few dispatches as can be; benchmarks compare. */
  joinsEnds = true;
  /** The last workgroup of a dispatch does what another dispatch would; `tuneKernels` chooses. */
  endsByLast = false;
  /** Waiting works synchronously. */
  readonly isQuick: boolean;
  /** What a workgroup did before `storageBarrier` the others see behind theirs. */
  readonly ordersWorkgroups: boolean;
  /** Resolves with the reason when the device is gone; after `close()`, too. */
  readonly lost: Promise<string>;
  /** Bound where a kernel has a binding that it does not use, 256 zero bytes. */
  readonly nothing: GPUBuffer;
  /** Bound where a kernel could write and does not: two places of 256 bytes. */
  readonly sink: GPUBuffer;
  /**
   * u32 [COUNTERS_MAX]: workgroups of a dispatch that have ended. Zeros between dispatches: the
   * last one that is counted says 0 again, and dispatches come to an end or the device does.
   */
  readonly counters: GPUBuffer;
  readonly #fence: GPUBuffer;
  readonly #sizes = new Map<GPUBuffer, number>();
  readonly #memoryBytes: number;
  #allocatedBytes = 0;
  #peakBytes = 0;
  /** Given to writeBuffer and perhaps not taken yet; of these what no submission followed. */
  #stagedBytes = 0;
  #unsentBytes = 0;
  #failure: string | null = null;

  private constructor(device: GPUDevice, info: GpuInfo, use: GpuUse) {
    this.device = device;
    this.info = info;
    this.priority = use.priority;
    this.#memoryBytes = use.memoryBytes;
    this.features = featuresOf(device);
    this.isQuick = "Deno" in globalThis;
    this.ordersWorkgroups = ordersWorkgroups(globalThis);
    this.pipelines = new Pipelines(device);
    this.lost = device.lost.then(({ message, reason }) => {
      const text = `the GPU was lost (${reason}): ${message}`;
      this.#failure ??= text;
      return text;
    });
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault(); // it reaches whoever waits next
      this.#failure ??= (event as GPUUncapturedErrorEvent).error.message;
    });
    this.nothing = device.createBuffer({ label: "nothing", size: 256, usage: STORAGE });
    this.sink = device.createBuffer({ label: "sink", size: 512, usage: STORAGE });
    const counters = { label: "counters", size: 4 * COUNTERS_MAX, usage: STORAGE };
    this.counters = device.createBuffer(counters);
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    this.#fence = device.createBuffer({ label: "fence", size: 4, usage });
  }

  /** Makes a device ready for use. */
  static async open(device: GPUDevice, info: GpuInfo, use: GpuUse): Promise<Gpu> {
    const gpu = new Gpu(device, info, use);
    await primeForReading(gpu.#fence);
    return gpu;
  }

  get limits(): GPUSupportedLimits {
    return this.device.limits;
  }

  /** The first thing that went wrong and that nobody asked about; null as long as all is well. */
  get failure(): string | null {
    return this.#failure;
  }

  /** Of all buffers that were made here and are not destroyed. */
  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  /** The most that they ever were. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** Bytes that `write` takes before it waits for the GPU. */
  get stagingRoom(): number {
    return STAGED_BYTES_MAX - this.#stagedBytes;
  }

  /**
   * A buffer of zeros; for storage and writing unless `usage` says otherwise.
   * @throws {GpuOutOfMemoryError} when the GPU has no room, or cannot have one so large.
   */
  async createBuffer(label: string, bytes: number, usage = STORAGE | WRITABLE): Promise<GPUBuffer> {
    const size = Math.max(16, Math.ceil(bytes / 16) * 16); // kernels read vec4s
    const isStorage = (usage & STORAGE) !== 0;
    const { maxBufferSize, maxStorageBufferBindingSize } = this.limits;
    const most = isStorage ? Math.min(maxBufferSize, maxStorageBufferBindingSize) : maxBufferSize;
    if (size > most) {
      throw new GpuOutOfMemoryError(
        `Cannot hold "${label}" on the GPU: it takes ${mib(size)}, and ${this.info.description} ` +
          `allows ${mib(most)} in one piece: use a shorter context, or fewer layers on the GPU`,
      );
    }
    if (this.#allocatedBytes + size > this.#memoryBytes) {
      throw new GpuOutOfMemoryError(
        `Cannot hold "${label}" on the GPU: ${mib(size)} beside ${mib(this.#allocatedBytes)} are ` +
          `more than the ${mib(this.#memoryBytes)} that it may take: allow more, or put fewer ` +
          "layers on the GPU",
      );
    }
    this.device.pushErrorScope("out-of-memory");
    this.device.pushErrorScope("validation");
    const buffer = this.device.createBuffer({ label, size, usage });
    const invalid = await this.device.popErrorScope();
    const full = await this.device.popErrorScope();
    const error = full ?? invalid;
    if (error) {
      buffer.destroy();
      throw new GpuOutOfMemoryError(
        `Cannot hold "${label}" on the GPU: there is no room for ${mib(size)} beside ` +
          `${mib(this.#allocatedBytes)} (${error.message}): put fewer layers on the GPU`,
      );
    }
    this.#sizes.set(buffer, size);
    this.#allocatedBytes += size;
    this.#peakBytes = Math.max(this.#peakBytes, this.#allocatedBytes);
    return buffer;
  }

  /** A vector of weights, f32 [values.length]. */
  async createVector(label: string, values: Float32Array): Promise<GPUBuffer> {
    const buffer = await this.createBuffer(label, values.byteLength);
    this.write(buffer, 0, values);
    return buffer;
  }

  /** Gives a buffer's memory back. */
  destroyBuffer(buffer: GPUBuffer): void {
    this.#allocatedBytes -= this.#sizes.get(buffer) ?? 0;
    this.#sizes.delete(buffer);
    buffer.destroy();
  }

  /** Puts bytes, which may be in shared memory, into a buffer. */
  write(buffer: GPUBuffer, offsetBytes: number, data: ArrayBufferView): void {
    // WebGPU reads shared memory as well; its types do not say so.
    this.device.queue.writeBuffer(buffer, offsetBytes, data as ArrayBufferView<ArrayBuffer>);
    this.#stagedBytes += data.byteLength;
    this.#unsentBytes += data.byteLength;
    if (this.#stagedBytes < STAGED_BYTES_MAX) return;
    this.submit([]);
    if (this.isQuick) this.drain();
    else this.settled();
  }

  /** Sends commands, and what was written before them. */
  submit(commands: GPUCommandBuffer[]): void {
    this.device.queue.submit(commands);
    this.#unsentBytes = 0;
  }

  /** The GPU was idle: what it was sent it has taken. */
  settled(): void {
    this.#stagedBytes = this.#unsentBytes;
  }

  /**
   * Waits until the GPU is idle, in Deno.
   * @throws {GpuLostError} when it is gone.
   */
  drain(): void {
    check(this.isQuick, "waiting on the spot works in Deno only");
    readPrimed(this, this.#fence, 4, ignore);
  }

  /**
   * Waits until the GPU is idle.
   * @throws {GpuLostError} when it is gone.
   */
  async drained(): Promise<void> {
    await Promise.race([this.device.queue.onSubmittedWorkDone(), this.lost]);
    this.assertWell();
  }

  /** @throws {GpuLostError} when something went wrong since the GPU was opened. */
  assertWell(): void {
    if (this.#failure !== null) throw this.lostError();
  }

  /** What whoever waits is told. */
  lostError(cause?: unknown): GpuLostError {
    const reason = this.#failure ?? (cause instanceof Error ? cause.message : "it gave no reason");
    return new GpuLostError(
      `The GPU ${this.info.description} failed: ${reason}: ` +
        `the request goes on on the CPU, or try again`,
      { cause },
    );
  }

  /** Gives all memory back and ends the device; who waits for it gets an error. */
  close(): void {
    // A process that ended while a driver was still freeing gigabytes was killed by it (NVIDIA).
    for (const buffer of [...this.#sizes.keys()]) this.destroyBuffer(buffer);
    try {
      if (this.isQuick) this.drain();
    } catch {
      // It is gone already.
    }
    this.device.destroy();
  }
}

/**
 * WGSL's barriers order memory within a workgroup. Deno's compiler makes those of storage barriers
 * of the device where it writes for Vulkan or GL; for Metal it does not, and browsers' do not.
 */
function ordersWorkgroups(host: { readonly Deno?: { readonly build: { os: string } } }): boolean {
  return host.Deno?.build.os === "linux";
}

function featuresOf({ features }: GPUDevice): ReadonlySet<Feature> {
  const found = new Set<Feature>();
  if (features.has("shader-f16")) found.add("f16");
  if (features.has("subgroups" as GPUFeatureName)) found.add("subgroups");
  // Of the host's compiler, not the adapter; the types do not know it.
  const { wgslLanguageFeatures: words } = (globalThis.navigator?.gpu ?? {}) as Partial<
    { wgslLanguageFeatures: ReadonlySet<string> }
  >;
  if (words?.has("packed_4x8_integer_dot_product")) found.add("int8");
  return found;
}

/** Maps a buffer once and awaits it: only then may `readPrimed` have it. */
export async function primeForReading(buffer: GPUBuffer): Promise<void> {
  await buffer.mapAsync(GPUMapMode.READ);
  buffer.unmap();
}

/**
 * Waits for the GPU and shows the first `bytes` of a primed buffer, in Deno. A buffer that was not
 * primed would end the process here.
 * @param goOn sends an idle GPU something to do while what it left is looked at.
 * @throws {GpuLostError} when the device is gone.
 */
export function readPrimed(
  gpu: Gpu,
  buffer: GPUBuffer,
  bytes: number,
  show: (data: ArrayBuffer) => void,
  goOn: () => void = ignore,
): void {
  buffer.mapAsync(GPUMapMode.READ, 0, bytes).catch(ignore);
  goOn();
  let data: ArrayBuffer;
  try {
    data = buffer.getMappedRange(0, bytes);
  } catch (error) {
    throw gpu.lostError(error);
  }
  gpu.settled();
  try {
    show(data);
  } finally {
    buffer.unmap();
  }
}

/** What was rejected shows in the mapped range. */
function ignore(): void {}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / MiB)} MiB`;
}
