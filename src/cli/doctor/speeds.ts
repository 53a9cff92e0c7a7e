/** How fast this machine reads: its memory through a WASM kernel, its disk through a file. */
import fs from "node:fs";
import { join } from "node:path";
import { loadKernelModule } from "../../../wasm/mod.ts";
import { measureMemoryGbps } from "../../../workers/mod.ts";
import { GiB, KiB, MiB } from "../../base/units.ts";

/** Far larger than any cache; threads share it. */
const MEMORY_BYTES = 512 * MiB;
const PAGE_BYTES = 64 * KiB;
const FILE_BYTES = 128 * MiB;
const BLOCK_BYTES = MiB;
const RANDOM_READ_BYTES = 4 * KiB;
const RANDOM_READ_COUNT = 1000;
/** A slow disk is measured by what it reads in this time. */
const PHASE_MS = 2_000;

/** GB/s that so many threads read with when they do nothing else. */
export async function measureReadGbps(threads: number): Promise<number> {
  const module = await loadKernelModule();
  const sizeBytes = Math.floor(MEMORY_BYTES / threads / PAGE_BYTES) * PAGE_BYTES;
  return await measureMemoryGbps({ threads, module, sizeBytes });
}

export interface DiskSpeed {
  readonly folder: string;
  /** GB/s in blocks of 1 MiB. */
  readonly sequential_read_gbps: number;
  /** Reads of 4 KiB a second, one at a time. */
  readonly random_reads_per_second: number;
  /** False when the system's file cache could not be passed by: then it is what was measured. */
  readonly direct: boolean;
}

/** Reads a temporary file in `folder`, which is removed again. */
export function measureDisk(folder: string): DiskSpeed {
  const path = Deno.makeTempFileSync({ dir: folder, prefix: "ganglion-doctor-" });
  try {
    writeFile(path);
    const { fd, direct } = openPastCache(path);
    try {
      return { folder, ...measureReads(fd), direct };
    } finally {
      fs.closeSync(fd);
    }
  } finally {
    Deno.removeSync(path);
  }
}

function writeFile(path: string): void {
  using file = Deno.openSync(path, { write: true });
  const block = crypto.getRandomValues(new Uint8Array(PAGE_BYTES));
  for (let written = 0; written < FILE_BYTES; written += PAGE_BYTES) file.writeSync(block);
  file.syncSync();
}

/** Linux can read past its file cache (O_DIRECT), where the file system lets it. */
function openPastCache(path: string): { fd: number; direct: boolean } {
  const { O_RDONLY, O_DIRECT } = fs.constants;
  if (O_DIRECT) {
    try {
      return { fd: fs.openSync(path, O_RDONLY | O_DIRECT), direct: true };
    } catch {
      // A file system in memory has no cache to pass by.
    }
  }
  return { fd: fs.openSync(path, O_RDONLY), direct: false };
}

function measureReads(
  fd: number,
): Pick<DiskSpeed, "sequential_read_gbps" | "random_reads_per_second"> {
  // Memory of WebAssembly begins at a page, as O_DIRECT wants it.
  const { buffer } = new WebAssembly.Memory({ initial: BLOCK_BYTES / PAGE_BYTES });
  const block = new Uint8Array(buffer);
  const sequential = readFor(FILE_BYTES / BLOCK_BYTES, (index) => {
    fs.readSync(fd, block, 0, BLOCK_BYTES, index * BLOCK_BYTES);
  });
  const places = FILE_BYTES / RANDOM_READ_BYTES;
  const random = readFor(RANDOM_READ_COUNT, () => {
    const place = Math.floor(Math.random() * places);
    fs.readSync(fd, block, 0, RANDOM_READ_BYTES, place * RANDOM_READ_BYTES);
  });
  return {
    sequential_read_gbps: sequential * BLOCK_BYTES / 1e9,
    random_reads_per_second: Math.round(random),
  };
}

/** Calls `read` up to `count` times, for a while at most; returns calls per second. */
function readFor(count: number, read: (index: number) => void): number {
  const startMs = performance.now();
  let done = 0;
  while (done < count && performance.now() - startMs < PHASE_MS) read(done++);
  return done / (performance.now() - startMs) * 1000;
}

/** Where the disk is measured when nobody says: the folder for temporary files. */
export function defaultDiskFolder(): string {
  const path = Deno.makeTempFileSync({ prefix: "ganglion-doctor-" });
  Deno.removeSync(path);
  return join(path, "..");
}

/** True when the machine has room for what `measureReadGbps` allocates. */
export function hasRoomToMeasure(availableBytes: number): boolean {
  return availableBytes > MEMORY_BYTES + GiB / 2;
}
