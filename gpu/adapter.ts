/**
 * The choice of an adapter and of what is asked of it. A software adapter ("fallback") is never
 * taken unless asked for: it is slower than the CPU path of the engine.
 */
import { MiB } from "../src/base/units.ts";
import { GpuUnavailableError } from "./errors.ts";

/** Who may compute. */
export type AdapterChoice = "default" | "fallback-allowed";

/** What WebGPU is asked for; tests put a fake one here. */
export type AdapterSource = Pick<GPU, "requestAdapter">;

/** A driver that has not answered by then is taken for absent. */
const ADAPTER_TIMEOUT_MS = 10_000;

const CURE =
  "install a Vulkan driver (Debian: mesa-vulkan-drivers), or go on on the CPU with --gpu off";

/** Limits that kernels and buffers profit from: as much as the adapter allows. */
const WANTED_LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupsPerDimension",
] as const;

/** The least that kernels need; every adapter of WebGPU has more, unless it is broken. */
const LEAST: Readonly<Partial<Record<(typeof WANTED_LIMITS)[number], number>>> = {
  maxStorageBufferBindingSize: 64 * MiB,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16_384,
  maxComputeInvocationsPerWorkgroup: 256,
};

const SUBGROUPS = "subgroups" as GPUFeatureName;

/** Names of software rasterisers that do not always say that they are one. */
const SOFTWARE = /llvmpipe|swiftshader|softpipe|software|basic render/i;

/** Names an adapter where measurements are kept. */
export function adapterKey(
  info: Pick<GPUAdapterInfo, "vendor" | "architecture" | "device" | "description">,
): string {
  const { vendor, architecture, device, description } = info;
  return [vendor, architecture, device, description].filter((part) => part !== "").join(" / ");
}

/** True when the adapter is a program on the CPU. */
export function isSoftware({ info }: GPUAdapter): boolean {
  return info.isFallbackAdapter || SOFTWARE.test(`${info.device} ${info.description}`);
}

/**
 * The adapter to use.
 * @throws {GpuUnavailableError} with the reason and a cure.
 */
export async function chooseAdapter(
  source: AdapterSource | undefined,
  choice: AdapterChoice,
): Promise<GPUAdapter> {
  if (!source) {
    throw new GpuUnavailableError(`Cannot use a GPU: this runtime has no WebGPU: ${CURE}`);
  }
  const adapter = await requestAdapter(source);
  if (!adapter) throw new GpuUnavailableError(`Cannot use a GPU: there is no driver: ${CURE}`);
  if (choice === "default" && isSoftware(adapter)) {
    const name = adapter.info.description || adapter.info.device || "the adapter";
    throw new GpuUnavailableError(
      `Cannot use a GPU: ${name} is software on the CPU, slower than the engine's own: ` +
        `install the graphics card's driver, or say --gpu force to use it all the same`,
    );
  }
  for (const [name, least] of Object.entries(LEAST)) {
    const has = Number(Reflect.get(adapter.limits, name));
    if (has >= least) continue;
    throw new GpuUnavailableError(
      `Cannot use the GPU ${adapter.info.description}: its ${name} is ${has}, kernels need ` +
        `${least}: update its driver, or go on on the CPU with --gpu off`,
    );
  }
  return adapter;
}

async function requestAdapter(source: AdapterSource): Promise<GPUAdapter | null> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const seconds = ADAPTER_TIMEOUT_MS / 1000;
    reject(new Error(`its driver did not answer in ${seconds} s`));
  }, ADAPTER_TIMEOUT_MS);
  try {
    return await Promise.race([
      source.requestAdapter({ powerPreference: "high-performance" }),
      late,
    ]);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new GpuUnavailableError(`Cannot use a GPU: ${reason}: ${CURE}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** A device with the adapter's limits and those of the wanted features that it gives. */
export async function requestDevice(adapter: GPUAdapter): Promise<GPUDevice> {
  const requiredLimits: Record<string, number> = {};
  for (const name of WANTED_LIMITS) requiredLimits[name] = adapter.limits[name];
  const listed = (["shader-f16", "subgroups"] as GPUFeatureName[])
    .filter((feature) => adapter.features.has(feature));
  // Deno does not list subgroups, but gives them to adapters that know their size.
  const { subgroupMinSize = 0 } = adapter.info as { subgroupMinSize?: number };
  const hidden = subgroupMinSize > 0 && !listed.includes(SUBGROUPS) ? [SUBGROUPS] : [];
  try {
    const requiredFeatures = [...listed, ...hidden];
    return await adapter.requestDevice({ requiredFeatures, requiredLimits });
  } catch (error) {
    if (hidden.length > 0) {
      const device = await adapter.requestDevice({ requiredFeatures: listed, requiredLimits })
        .catch(() => null);
      if (device) return device;
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new GpuUnavailableError(
      `Cannot use the GPU ${adapter.info.description}: it gives no device: ${reason}: ${CURE}`,
      { cause: error },
    );
  }
}
