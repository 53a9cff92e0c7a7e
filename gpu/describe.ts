/** What the machine's GPU is and allows, for people who ask `doctor`. Starts no device. */

export interface GpuDescription {
  /** True when WebGPU offers an adapter, be it a software one. */
  readonly available: boolean;
  readonly adapter?: {
    readonly vendor: string;
    readonly architecture: string;
    readonly device: string;
    readonly description: string;
    /** A software adapter: good for tests, slower than our own CPU path. */
    readonly isFallback: boolean;
  };
  /** WebGPU limits by name: bytes, or counts, as the name says. */
  readonly limits?: Readonly<Record<string, number>>;
  readonly features?: readonly string[];
  /** Why there is none. */
  readonly reason?: string;
}

/** What `describeGpu` needs of WebGPU; tests put a fake one here. */
export type GpuSource = Pick<GPU, "requestAdapter">;

/** A driver that has not answered by then is taken for absent. */
const ADAPTER_TIMEOUT_MS = 5_000;

/**
 * Describes the default adapter. Never throws: a missing or broken driver is a `reason`.
 * @param options.timeoutMs after which a silent driver counts as none.
 */
export async function describeGpu(
  { gpu = navigator.gpu, timeoutMs = ADAPTER_TIMEOUT_MS }: {
    gpu?: GpuSource;
    timeoutMs?: number;
  } = {},
): Promise<GpuDescription> {
  if (!gpu) return { available: false, reason: "this runtime has no WebGPU" };
  try {
    const adapter = await withTimeout(gpu.requestAdapter(), timeoutMs);
    if (adapter === "timeout") {
      return { available: false, reason: `the GPU driver did not answer in ${timeoutMs} ms` };
    }
    if (!adapter) return { available: false, reason: "no adapter: no Vulkan, Metal or D3D driver" };
    return describeAdapter(adapter);
  } catch (error) {
    return { available: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

function describeAdapter(adapter: GPUAdapter): GpuDescription {
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  return {
    available: true,
    adapter: { vendor, architecture, device, description, isFallback: isFallbackAdapter },
    limits: readLimits(adapter.limits),
    features: [...adapter.features].toSorted(),
  };
}

/** Limits are getters of the prototype: `Object.entries` does not see them. */
function readLimits(limits: GPUSupportedLimits): Record<string, number> {
  const values: Record<string, number> = {};
  for (const name in limits) {
    const value: unknown = Reflect.get(limits, name);
    if (typeof value === "number") values[name] = value;
  }
  return values;
}

async function withTimeout<T>(promise: Promise<T>, timeoutMs: number): Promise<T | "timeout"> {
  const { promise: late, resolve } = Promise.withResolvers<"timeout">();
  const timer = setTimeout(() => resolve("timeout"), timeoutMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
