/** How fast this machine's disk is read by threads: what a plan for a large model goes by. */
import { closeSync, fsyncSync, openSync, statSync, writeSync } from "node:fs";
import process from "node:process";
import { setImmediate } from "node:timers/promises";
import { KiB, MiB } from "../src/base/units.ts";
import { WorkerCaller } from "./caller.ts";

export interface DiskProfile {
  /** Reads of 1 MiB one behind the other, by four threads. */
  readonly sequentialBytesPerS: number;
  readonly random: readonly RandomReads[];
  /** False when the system's file cache could not be passed by: then it is what was measured. */
  readonly direct: boolean;
}

export interface RandomReads {
  readonly sizeBytes: number;
  readonly workers: number;
  readonly readsPerS: number;
  /** Cores' time that the reads took, 1: one core. */
  readonly cpuShare: number;
}

const SIZES_BYTES = [4 * KiB, 8 * KiB, 64 * KiB, MiB];
const SEQUENTIAL_WORKERS = 4;
/** About two seconds and a half in all. */
const AMOUNTS: DiskAmounts = { phaseMs: 130, fileBytes: 256 * MiB, workers: [1, 4, 8, 16] };
const CLOSE_MS_MAX = 1_000;

/** How much is measured. */
export interface DiskAmounts {
  /** Of each part. */
  readonly phaseMs: number;
  /** Of the file that is made where a folder is measured. */
  readonly fileBytes: number;
  /** Numbers of threads, each with reads of each size. */
  readonly workers: readonly number[];
}

/** What else there is to say of a measurement. */
export interface MeasureDiskOptions {
  /** Left out: as much as says something of a disk. */
  readonly amounts?: DiskAmounts;
  /** Ends it: between two of its parts, each a fraction of a second. */
  readonly signal?: AbortSignal;
  /** How many of its parts are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Measures reads of a file, or of a temporary one in a folder, which is removed again.
 * @throws {WorkerError} when it cannot be read.
 * @throws the signal's reason when it is aborted.
 */
export async function measureDisk(
  path: string,
  { amounts = AMOUNTS, ...watch }: MeasureDiskOptions = {},
): Promise<DiskProfile> {
  if (!statSync(path).isDirectory()) return await measureFile(path, amounts, watch);
  const file = Deno.makeTempFileSync({ dir: path, prefix: "ganglion-disk-" });
  try {
    writeFile(file, amounts.fileBytes);
    return await measureFile(file, amounts, watch);
  } finally {
    Deno.removeSync(file);
  }
}

async function measureFile(
  path: string,
  { phaseMs: durationMs, workers: counts }: DiskAmounts,
  { signal, onProgress }: MeasureDiskOptions,
): Promise<DiskProfile> {
  let done = 0;
  // One to start the threads, one in a row, and each size with each number of threads.
  const total = 2 + SIZES_BYTES.length * counts.length;
  const script = new URL("./io_worker.ts", import.meta.url);
  const callers = Array.from(
    { length: Math.max(SEQUENTIAL_WORKERS, ...counts) },
    (_, i) => new WorkerCaller(script, `disk-${i}`, {}),
  );
  try {
    const measure = async (sizeBytes: number, threads: number, random: boolean) => {
      // What came while the file was written is heard only now.
      await setImmediate();
      signal?.throwIfAborted();
      onProgress?.(done++, total);
      const before = process.cpuUsage();
      const startMs = performance.now();
      const parts = await Promise.all(
        callers.slice(0, threads).map((caller, thread) =>
          caller.call("measureReads", { path, sizeBytes, durationMs, random, thread, threads })
        ),
      );
      const { user, system } = process.cpuUsage(before);
      // Slow reads end after their time is up.
      const ms = performance.now() - startMs;
      return {
        readsPerS: Math.round(parts.reduce((sum, { reads }) => sum + reads, 0) * 1000 / ms),
        cpuShare: (user + system) / 1000 / ms,
        direct: parts.every((part) => part.direct),
      };
    };
    // The first call of a thread starts it.
    await measure(4 * KiB, callers.length, true);
    const sequential = await measure(MiB, SEQUENTIAL_WORKERS, false);
    const random: RandomReads[] = [];
    for (const sizeBytes of SIZES_BYTES) {
      for (const workers of counts) {
        const { readsPerS, cpuShare } = await measure(sizeBytes, workers, true);
        random.push({ sizeBytes, workers, readsPerS, cpuShare });
      }
    }
    const { direct } = sequential;
    return { sequentialBytesPerS: sequential.readsPerS * MiB, random, direct };
  } finally {
    await Promise.all(callers.map((caller) => caller.close(CLOSE_MS_MAX)));
  }
}

/** Random bytes, so that nothing below can compress them away. */
function writeFile(path: string, sizeBytes: number): void {
  const descriptor = openSync(path, "w");
  try {
    const block = crypto.getRandomValues(new Uint8Array(65536));
    for (let written = 0; written < sizeBytes; written += block.length) {
      writeSync(descriptor, block);
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
