/**
 * Memory cgroups of Linux, versions 1 and 2: made, read and removed. Everything charged to one is
 * limited, the page cache that its processes fill included. Knows nothing of what runs inside.
 */
import { join } from "node:path";

/** Where memory cgroups are made. */
export interface CgroupRoot {
  readonly version: 1 | 2;
  readonly folder: string;
}

/** What a cgroup has seen so far. */
export interface CgroupCounts {
  /** Most bytes charged at a time, page cache included; null where the kernel does not tell. */
  readonly peakBytes: number | null;
  /** How often the limit was met, and something had to be given back. */
  readonly limitHits: number;
  /** Processes killed because nothing could be given back. */
  readonly oomKills: number;
}

/** The files of a cgroup, by version. */
const FILES = {
  1: {
    limit: "memory.limit_in_bytes",
    swap: "memory.swappiness",
    peak: "memory.max_usage_in_bytes",
  },
  2: { limit: "memory.max", swap: "memory.swap.max", peak: "memory.peak" },
} as const;

/** Fields of memory.stat that count what no file holds; version 1 counts shared memory apart. */
const ANONYMOUS_KEYS = { 1: ["rss", "shmem"], 2: ["anon", "shmem"] } as const;

/**
 * Finds the memory controller in the text of /proc/self/mounts.
 * @throws when there is none.
 */
export function findCgroupRoot(mounts: string): CgroupRoot {
  const lines = mounts.split("\n").map((line) => line.split(" "));
  const old = lines.find(([, , type, options]) =>
    type === "cgroup" && options.split(",").includes("memory")
  );
  if (old) return { version: 1, folder: old[1] };
  const unified = lines.find(([, , type]) => type === "cgroup2");
  if (unified) return { version: 2, folder: unified[1] };
  throw new Error(
    "Cannot limit memory: no memory cgroups are mounted: this needs Linux, and a container that " +
      "may use them",
  );
}

/** A cgroup with a limit; disposing kills what still runs in it, and removes it. */
export class MemoryCgroup implements AsyncDisposable {
  readonly #version: CgroupRoot["version"];
  readonly #folder: string;

  private constructor(version: CgroupRoot["version"], folder: string) {
    this.#version = version;
    this.#folder = folder;
  }

  /**
   * Makes it.
   * @throws when that needs another user, or the kernel keeps memory out of cgroups.
   */
  static async create(
    { version, folder }: CgroupRoot,
    { name, limitBytes }: { name: string; limitBytes: number },
  ): Promise<MemoryCgroup> {
    const cgroup = new MemoryCgroup(version, join(folder, name));
    try {
      if (version === 2) {
        await Deno.writeTextFile(join(folder, "cgroup.subtree_control"), "+memory");
      }
      await Deno.mkdir(cgroup.#folder);
    } catch (error) {
      throw refusal(folder, error);
    }
    try {
      await cgroup.#write(FILES[version].limit, `${limitBytes}`);
    } catch (error) {
      await cgroup[Symbol.asyncDispose]();
      throw refusal(folder, error);
    }
    // Swap would be more memory; kernels without it have no such file.
    await cgroup.#write(FILES[version].swap, "0").catch(() => {});
    return cgroup;
  }

  /** The file that a process writes its id into to become limited, and all its children. */
  get processesFile(): string {
    return join(this.#folder, "cgroup.procs");
  }

  /** Ids of the processes inside. */
  async processes(): Promise<number[]> {
    const text = await readOrEmpty(this.processesFile);
    return text.split("\n").filter((line) => line !== "").map(Number);
  }

  async kill(): Promise<void> {
    for (const id of await this.processes()) {
      try {
        Deno.kill(id, "SIGKILL");
      } catch {
        // It ended meanwhile.
      }
    }
  }

  /** Bytes charged now that no file on a disk holds. */
  async anonymousBytes(): Promise<number> {
    const stat = parseCounts(await this.#read("memory.stat"));
    return ANONYMOUS_KEYS[this.#version].reduce((sum, key) => sum + (stat.get(key) ?? 0), 0);
  }

  counts(): Promise<CgroupCounts> {
    return readCgroupCounts(this.#version, (file) => this.#read(file));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let attempt = 1;; attempt++) {
      await this.kill();
      try {
        return await Deno.remove(this.#folder);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return;
        // Killed processes stay until their memory is returned.
        if (attempt === REMOVE_ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, REMOVE_PAUSE_MS));
      }
    }
  }

  #write(file: string, text: string): Promise<void> {
    return Deno.writeTextFile(join(this.#folder, file), text, { create: false });
  }

  #read(file: string): Promise<string> {
    return readOrEmpty(join(this.#folder, file));
  }
}

const REMOVE_ATTEMPTS = 100;
const REMOVE_PAUSE_MS = 100;

/** What files of a cgroup say; `read` gives nothing for those that are not there. */
export async function readCgroupCounts(
  version: CgroupRoot["version"],
  read: (file: string) => Promise<string>,
): Promise<CgroupCounts> {
  const peak = (await read(FILES[version].peak)).trim();
  const peakBytes = peak === "" ? null : Number(peak);
  const events = parseCounts(await read(version === 1 ? "memory.oom_control" : "memory.events"));
  const limitHits = version === 1 ? Number(await read("memory.failcnt")) : events.get("max") ?? 0;
  return { peakBytes, limitHits, oomKills: events.get("oom_kill") ?? 0 };
}

/** "key number" and "key: number" lines as a map. */
export function parseCounts(text: string): Map<string, number> {
  return new Map(
    text.split("\n").flatMap((line) => {
      const match = /^(\S+?):?\s+(\d+)$/.exec(line);
      return match ? [[match[1], Number(match[2])]] : [];
    }),
  );
}

/** Processes and files of the kernel may go at any time. */
export async function readOrEmpty(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch {
    return "";
  }
}

function refusal(folder: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error);
  return new Error(
    `Cannot limit memory: no cgroup can be made in ${folder} (${reason}): run this as root, on a ` +
      "system whose kernel lets memory be limited there",
  );
}
