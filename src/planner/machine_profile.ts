/**
 * What this machine can do, as `doctor` measured it, kept as JSON in the user's cache folder. What
 * lies there is not believed before it is checked: a damaged file is measured again. Knows nothing
 * of models.
 */
import { z } from "zod";
import { dirname, join } from "node:path";

const rate = z.number().positive().max(1e15);
const count = z.number().int().min(1).max(1 << 20);

const Profile = z.strictObject({
  version: z.literal(1),
  /** Which machine, and which way of running: machineId(). */
  machine: z.string().min(1).max(300),
  /** ISO 8601; "never": these are the numbers of another machine. */
  measuredAt: z.string().max(40),
  cores: count,
  /** GB/s that kernels read memory with, by number of threads, from one on. */
  readGBps: z.array(rate).min(1).max(64),
  disk: z.strictObject({
    /** Where it was measured. */
    folder: z.string().max(4096),
    /** False: what was measured is the system's file cache. */
    direct: z.boolean(),
    sequentialBytesPerS: rate,
    /** Reads at random places. */
    random: z.array(z.strictObject({
      sizeBytes: count,
      workers: count,
      readsPerS: rate,
      /** Cores' worth of time that the workers take meanwhile. */
      cpuShare: z.number().min(0).max(1024),
    })).min(1).max(100),
  }),
  /** Left out: no GPU was measured. */
  gpu: z.strictObject({
    adapter: z.string().max(300),
    /** Copies within its memory: bytes read and written. */
    copyGBps: rate,
    /** Bytes of weights that decoding reads, and a step's time beside that. */
    decodeGBps: rate,
    stepMs: z.number().min(0).max(1e6),
    /** A kernel that computes next to nothing; left out: was not measured. */
    smallKernelMs: z.number().min(0).max(1e6).optional(),
    /** Multiplications and additions of a prompt's products. */
    prefillGFlops: rate,
    /** Bytes that it is sent from the memory of the process; left out: was not measured. */
    uploadGBps: rate.optional(),
    /** Which shaders it does fastest: gpu/autotune.ts; left out: a software adapter. */
    tuning: z.string().max(10_000).optional(),
  }).optional(),
});

export type MachineProfile = z.infer<typeof Profile>;
export type GpuProfile = NonNullable<MachineProfile["gpu"]>;
export type DiskProfile = MachineProfile["disk"];
export type RandomReads = DiskProfile["random"][number];

/** The version of profiles that this program reads. */
export const PROFILE_VERSION = 1;

/**
 * For a machine that nobody measured: a virtual server with two cores and an NVMe volume, where
 * this was written. Reads of up to 8 KiB cost the same, 11.5 µs of a core each.
 */
export const DEFAULT_PROFILE: MachineProfile = {
  version: PROFILE_VERSION,
  machine: "built-in",
  measuredAt: "never",
  cores: 2,
  readGBps: [11.4, 22],
  disk: {
    folder: "",
    direct: true,
    sequentialBytesPerS: 1.7e9,
    random: [
      { sizeBytes: 8192, workers: 3, readsPerS: 31_000, cpuShare: 0.36 },
      { sizeBytes: 8192, workers: 8, readsPerS: 52_000, cpuShare: 0.6 },
      { sizeBytes: 8192, workers: 16, readsPerS: 72_000, cpuShare: 0.83 },
      { sizeBytes: 65536, workers: 4, readsPerS: 17_000, cpuShare: 0.4 },
    ],
  },
};

/** Reads environment variables; tests put their own here. */
type Environment = (name: string) => string | undefined;

/** What distinguishes machines, and the speed of their kernels. */
export function machineId(of: { cores: number; memoryBytes: number; flags: string[] }): string {
  const { os, arch } = Deno.build;
  return [os, arch, `${of.cores} cores`, `${of.memoryBytes} bytes`, Deno.version.v8, ...of.flags]
    .join(" ");
}

/** Where the profile lies: GANGLION_CACHE, else a folder of the user's cache; null: nowhere. */
export function profilePath(env: Environment): string | null {
  const own = env("GANGLION_CACHE");
  if (own) return join(own, "machine.json");
  const home = env("HOME") ?? env("USERPROFILE");
  const cache = env("XDG_CACHE_HOME") ?? (home ? join(home, ".cache") : null);
  return cache ? join(cache, "ganglion", "machine.json") : null;
}

/** The profile at a path; null: there is none, or none of this machine, or it is damaged. */
export function readProfile(path: string, machine: string): MachineProfile | null {
  try {
    const parsed = Profile.safeParse(JSON.parse(Deno.readTextFileSync(path)));
    return parsed.success && parsed.data.machine === machine ? parsed.data : null;
  } catch {
    return null;
  }
}

/** Writes the file whole: what was there is replaced at once or stays. */
export function writeProfile(path: string, profile: MachineProfile): void {
  Deno.mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${Deno.pid}`;
  Deno.writeTextFileSync(temporary, `${JSON.stringify(Profile.parse(profile), null, 2)}\n`);
  Deno.renameSync(temporary, path);
}

/** GB/s of so many threads; more threads than were measured read no faster. */
export function readGBps(profile: MachineProfile, threads: number): number {
  return profile.readGBps[Math.min(threads, profile.readGBps.length) - 1];
}
