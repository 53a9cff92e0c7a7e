/** One run of one command in a memory cgroup of its own, watched from outside. */
import { type CgroupRoot, MemoryCgroup, parseCounts, readOrEmpty } from "./memory_cgroup.ts";
import { parsePrintedSpeed, type PrintedSpeed } from "./printed_speed.ts";

/** What is to be run. */
export interface LimitedCommand {
  readonly name: string;
  /** Program and arguments. */
  readonly args: readonly string[];
}

export interface LimitedRunOptions {
  readonly root: CgroupRoot;
  readonly limitBytes: number;
  readonly timeoutMs: number;
  /** Ends the run. */
  readonly signal: AbortSignal;
}

/** What was seen. */
export interface LimitedRun extends PrintedSpeed {
  readonly name: string;
  readonly limitBytes: number;
  /** Most bytes charged, page cache included: a program that maps its file reaches the limit. */
  readonly peakBytes: number | null;
  /** Most bytes that no file holds, of samples. */
  readonly anonymousPeakBytes: number;
  readonly limitHits: number;
  readonly oomKills: number;
  /** Read from disks by its processes, of samples: the last moment is missing. */
  readonly diskReadBytes: number;
  readonly wallSeconds: number;
  readonly exitCode: number;
  readonly timedOut: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

const SAMPLE_MS = 100;

/**
 * Runs it to its end; a command that fails or takes too long is a result, too.
 * @throws when no cgroup can be made, or the signal is aborted.
 */
export async function runLimited(
  { name, args }: LimitedCommand,
  { root, limitBytes, timeoutMs, signal }: LimitedRunOptions,
): Promise<LimitedRun> {
  signal.throwIfAborted();
  await using cgroup = await MemoryCgroup.create(root, {
    name: `ganglion-bench-${Deno.pid}`,
    limitBytes,
  });
  const watch = new Watch(cgroup);
  const begin = performance.now();
  const child = new Deno.Command("sh", {
    args: ["-c", 'echo $$ > "$0" && exec "$@"', cgroup.processesFile, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  using stopper = new Stopper({ child, cgroup, timeoutMs, signal });
  const output = child.output();
  const sampling = watch.sampleUntil(output);
  const { code, stdout, stderr } = await output;
  const wallSeconds = (performance.now() - begin) / 1000;
  await sampling;
  signal.throwIfAborted();
  const printed = new TextDecoder().decode(stdout);
  return {
    name,
    limitBytes,
    ...parsePrintedSpeed(printed),
    ...await cgroup.counts(),
    anonymousPeakBytes: watch.anonymousPeakBytes,
    diskReadBytes: watch.diskReadBytes,
    wallSeconds,
    exitCode: code,
    timedOut: stopper.timedOut,
    stdout: printed,
    stderr: new TextDecoder().decode(stderr),
  };
}

/** Ends a run that takes too long, or that nobody wants any more. */
class Stopper implements Disposable {
  readonly #signal: AbortSignal;
  readonly #stop: () => void;
  readonly #timer: ReturnType<typeof setTimeout>;
  timedOut = false;

  constructor({ child, cgroup, timeoutMs, signal }: {
    child: Deno.ChildProcess;
    cgroup: MemoryCgroup;
    timeoutMs: number;
    signal: AbortSignal;
  }) {
    this.#signal = signal;
    this.#stop = () => {
      try {
        child.kill("SIGKILL"); // it may not have entered the cgroup yet
      } catch {
        // It has ended.
      }
      void cgroup.kill();
    };
    this.#timer = setTimeout(() => {
      this.timedOut = true;
      this.#stop();
    }, timeoutMs);
    signal.addEventListener("abort", this.#stop);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener("abort", this.#stop);
  }
}

/** What only samples can tell: it is gone when the processes are. */
class Watch {
  readonly #cgroup: MemoryCgroup;
  readonly #readBytes = new Map<number, number>();
  anonymousPeakBytes = 0;

  constructor(cgroup: MemoryCgroup) {
    this.#cgroup = cgroup;
  }

  get diskReadBytes(): number {
    return this.#readBytes.values().reduce((sum, bytes) => sum + bytes, 0);
  }

  async sampleUntil(end: Promise<unknown>): Promise<void> {
    let isRunning = true;
    const ended = end.finally(() => isRunning = false);
    while (isRunning) {
      await this.#sample();
      const timer = Promise.withResolvers<void>();
      const id = setTimeout(timer.resolve, SAMPLE_MS);
      await Promise.race([ended, timer.promise]);
      clearTimeout(id);
    }
  }

  async #sample(): Promise<void> {
    this.anonymousPeakBytes = Math.max(
      this.anonymousPeakBytes,
      await this.#cgroup.anonymousBytes(),
    );
    for (const id of await this.#cgroup.processes()) {
      const bytes = parseCounts(await readOrEmpty(`/proc/${id}/io`)).get("read_bytes");
      if (bytes !== undefined) this.#readBytes.set(id, bytes);
    }
  }
}
