/** `doctor`: what this machine can do for a model, measured where it cannot be asked. */
import type { Command } from "commander";
import { existsSync } from "node:fs";
import project from "../../../deno.json" with { type: "json" };
import { describeGpu, type GpuDescription } from "../../../gpu/mod.ts";
import { type DiskAmounts, type DiskProfile, measureDisk } from "../../../workers/mod.ts";
import { messageOf, UsageError } from "../../base/errors.ts";
import { formatBytes } from "../../base/units.ts";
import type { GpuProfile } from "../../planner/mod.ts";
import { advise } from "../doctor/advice.ts";
import { measureGpu } from "../doctor/gpu_speeds.ts";
import { keepProfile } from "../doctor/keep_profile.ts";
import {
  defaultDiskFolder,
  hasRoomToMeasure,
  MEASURED_BYTES,
  measureReadGbps,
} from "../doctor/speeds.ts";
import { wasmFeatures } from "../doctor/wasm_features.ts";
import { Interrupt } from "../interrupt.ts";
import { writeErrorLine, writeJson, writeOutLine } from "../output.ts";
import { Progress } from "../progress.ts";
import { SPEED_FLAGS, v8Flags } from "../v8_flags.ts";
import { createDataVerb } from "../verb.ts";

/** More threads read no faster on any machine that this version knows. */
const THREADS_MAX = 16;

interface Options {
  readonly dir?: string;
  readonly json?: boolean;
}

/** How much is read to measure. */
export interface ReadAmounts {
  readonly memoryBytes: number;
  /** Left out: as `measureDisk` has it. */
  readonly disk?: DiskAmounts;
}

/** amounts: tests take less. */
export function doctorVerb(amounts: ReadAmounts = { memoryBytes: MEASURED_BYTES }): Command {
  return createDataVerb("doctor", "Print what this machine can do.")
    .option(
      "--dir <folder>",
      "measure the disk that holds this folder (default: the temporary one)",
    )
    .action((options: Options) => doctor(options, amounts));
}

async function doctor(options: Options, amounts: ReadAmounts): Promise<void> {
  const folder = options.dir ?? defaultDiskFolder();
  if (!existsSync(folder)) {
    throw new UsageError(`Cannot measure the disk of "${folder}": there is no such folder`);
  }
  const report = await (async () => {
    using interrupt = new Interrupt();
    using progress = new Progress("Measuring");
    return await examine(folder, { signal: interrupt.signal, progress, amounts });
  })();
  if (options.json) writeJson(report);
  else writeOutLine(formatReport(report));
}

type Report = Awaited<ReturnType<typeof examine>>;

interface Measuring {
  readonly amounts: ReadAmounts;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

/** Of the time that all of it takes, roughly. */
const MEMORY_SHARE = 0.3;
const GPU_FROM = 0.9;

/** What was found, and what it means. */
async function examine(diskFolder: string, measuring: Measuring) {
  const found = await measure(diskFolder, measuring);
  const { memory, disk, gpu, gpu_rates: rates } = found;
  const advice = advise({
    ...{ cores: found.cores, missingFlags: found.missing_flags, wasm: found.wasm },
    memory: {
      totalBytes: memory.total_bytes,
      availableBytes: memory.available_bytes,
      readGbps: memory.read_gbps_by_threads,
    },
    disk: {
      sequentialGbps: disk.sequential_read_gbps,
      randomPerSecond: disk.random_reads_per_second_max,
      isDirect: disk.direct,
    },
    gpu: {
      kind: !gpu.adapter ? "none" : gpu.adapter.isFallback ? "software" : "real",
      decodeGbps: rates?.decodeGBps ?? null,
    },
  });
  return { ...found, advice };
}

async function measure(diskFolder: string, { amounts, signal, progress }: Measuring) {
  const inForce = v8Flags();
  const { total, available } = Deno.systemMemoryInfo();
  const readGBps = hasRoomToMeasure(available, amounts.memoryBytes)
    ? await measureByThreads(amounts.memoryBytes, (done, total) => {
      signal.throwIfAborted();
      progress.update(MEMORY_SHARE * done / total, 1, "memory");
    })
    : null;
  const disk = await measureDisk(diskFolder, {
    amounts: amounts.disk,
    signal,
    onProgress: (done, total) =>
      progress.update(MEMORY_SHARE + (GPU_FROM - MEMORY_SHARE) * done / total, 1, "disk"),
  });
  signal.throwIfAborted();
  progress.update(GPU_FROM, 1, "GPU");
  const gpu = await describeGpu();
  const gpuRates = await ratesOf(gpu);
  return {
    ganglion: project.version,
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    os: Deno.build.os,
    arch: Deno.build.arch,
    cores: navigator.hardwareConcurrency,
    wasm: wasmFeatures(),
    flags: inForce,
    missing_flags: SPEED_FLAGS.filter((flag) => !inForce.includes(flag)),
    memory: {
      total_bytes: total,
      available_bytes: available,
      /** Of one thread; null when there is no room to measure it. */
      read_gbps: readGBps?.[0] ?? null,
      read_gbps_by_threads: readGBps,
    },
    disk: describeDisk(disk, diskFolder),
    gpu,
    /** Null: there is no real adapter, or it failed. */
    gpu_rates: gpuRates,
    /** Where it is kept for `plan`; null: nowhere. */
    profile: readGBps === null ? null : keepProfile({
      ...{ readGBps, disk, folder: diskFolder, gpu: gpuRates },
    }),
  };
}

function describeDisk(disk: DiskProfile, folder: string) {
  const { sequentialBytesPerS, random, direct } = disk;
  const perSecond = random.map(({ readsPerS }) => readsPerS);
  return {
    folder,
    sequential_read_gbps: sequentialBytesPerS / 1e9,
    /** Of the smallest size, one at a time, and by as many threads as bring most. */
    random_reads_per_second: random[0].readsPerS,
    random_reads_per_second_max: Math.max(...perSecond),
    /** False when the system's file cache could not be passed by: then it is what was measured. */
    direct,
    random,
  };
}

/** With one thread, with two, … */
async function measureByThreads(
  bytes: number,
  onProgress: (done: number, total: number) => void,
): Promise<number[]> {
  const rates: number[] = [];
  const most = Math.min(navigator.hardwareConcurrency, THREADS_MAX);
  for (let threads = 1; threads <= most; threads++) {
    onProgress(threads - 1, most);
    rates.push(await measureReadGbps(threads, bytes));
  }
  return rates;
}

function formatReport(report: Report): string {
  const { memory, disk, flags } = report;
  const features = Object.entries(report.wasm).map(([name, has]) => has ? name : `no ${name}`);
  const readGbps = memory.read_gbps === null
    ? "not measured"
    : `${memory.read_gbps.toFixed(1)} GB/s`;
  const rows: [string, string][] = [
    ["ganglion", `${report.ganglion} on Deno ${report.deno}, V8 ${report.v8}`],
    ["machine", `${report.os} ${report.arch}, ${report.cores} cores`],
    ["wasm", features.join(", ")],
    ["V8 flags", flags.join(" ") || "none"],
    [
      "memory",
      `${formatBytes(memory.available_bytes)} of ${formatBytes(memory.total_bytes)} ` +
      `available; one thread reads ${readGbps}${ofAll(memory.read_gbps_by_threads)}`,
    ],
    [
      "disk",
      `${disk.folder}: ${disk.sequential_read_gbps.toFixed(2)} GB/s in a row, ` +
      `${disk.random_reads_per_second} random reads of 4 KiB a second, one at a time, ` +
      `${disk.random_reads_per_second_max} by several threads` +
      (disk.direct ? "" : " (from the file cache)"),
    ],
    ["gpu", describeAdapter(report.gpu, report.gpu_rates)],
    ["profile", report.profile ?? "not kept"],
  ];
  const table = rows.map(([key, value]) => `${key.padEnd(9)} ${value}`);
  return [...table, "", ...report.advice.map((each) => `* ${each}`)].join("\n");
}

function ofAll(rates: readonly number[] | null): string {
  if (rates === null || rates.length === 1) return "";
  return `, ${rates.length} read ${rates[rates.length - 1].toFixed(1)} GB/s`;
}

/** Software adapters are slower than threads: nobody plans with them. */
async function ratesOf({ available, adapter }: GpuDescription): Promise<GpuProfile | null> {
  if (!available || adapter?.isFallback) return null;
  try {
    return await measureGpu();
  } catch (error) {
    const reason = messageOf(error);
    writeErrorLine(`cannot measure the GPU: ${reason}`);
    return null;
  }
}

function describeAdapter({ adapter, reason }: GpuDescription, rates: GpuProfile | null): string {
  if (!adapter) return `none: ${reason}`;
  const name = adapter.description || adapter.device || adapter.vendor;
  if (adapter.isFallback) return `${name} (software: for tests, or with --gpu force)`;
  if (rates === null) return `${name}; it could not be measured`;
  return `${name}; copies ${rates.copyGBps.toFixed(0)} GB/s, reads weights at ` +
    `${rates.decodeGBps.toFixed(0)} GB/s, multiplies prompts with ` +
    `${(rates.prefillGFlops / 1000).toFixed(2)} TFLOPS`;
}
