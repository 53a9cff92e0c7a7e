/** How fast this machine reads its memory through a WASM kernel, and where its disk is measured. */
import { join } from "node:path";
import { loadKernelModule } from "../../../wasm/mod.ts";
import { measureMemoryGbps } from "../../../workers/mod.ts";
import { GiB, KiB, MiB } from "../../base/units.ts";

/** Far larger than any cache; threads share it. */
export const MEASURED_BYTES = 512 * MiB;
const PAGE_BYTES = 64 * KiB;

/** GB/s that so many threads read `bytes` with when they do nothing else. */
export async function measureReadGbps(threads: number, bytes: number): Promise<number> {
  const module = await loadKernelModule();
  const sizeBytes = Math.floor(bytes / threads / PAGE_BYTES) * PAGE_BYTES;
  return await measureMemoryGbps({ threads, module, sizeBytes });
}

/** Where the disk is measured when nobody says: the folder for temporary files. */
export function defaultDiskFolder(): string {
  const path = Deno.makeTempFileSync({ prefix: "ganglion-doctor-" });
  Deno.removeSync(path);
  return join(path, "..");
}

/** True when the machine has room for what `measureReadGbps` allocates. */
export function hasRoomToMeasure(availableBytes: number, bytes: number): boolean {
  return availableBytes > bytes + GiB / 2;
}
