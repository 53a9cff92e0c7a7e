/** What every adapter of WebGPU allows, and no more. */
import type { Gpu } from "../../../gpu/mod.ts";

const LEAST = {
  ...{ maxComputeInvocationsPerWorkgroup: 256, maxComputeWorkgroupStorageSize: 16_384 },
  maxStorageBuffersPerShaderStage: 8,
};

/** Runs as if the adapter allowed workgroups no larger than that. */
export async function withLeastLimits(gpu: Gpu, run: () => Promise<void>): Promise<void> {
  const { maxBufferSize, maxStorageBufferBindingSize } = gpu.limits;
  const value = { ...LEAST, maxBufferSize, maxStorageBufferBindingSize };
  Object.defineProperty(gpu, "limits", { value, configurable: true });
  try {
    await run();
  } finally {
    Reflect.deleteProperty(gpu, "limits");
  }
}
