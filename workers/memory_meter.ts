/** How fast kernels read memory, by one thread or several at once. */
import { WorkerCaller } from "./caller.ts";

export interface MeterOptions {
  readonly threads: number;
  /** The compiled kernels. */
  readonly module: WebAssembly.Module;
  /** Of each thread: far larger than its caches, whole pages. */
  readonly sizeBytes: number;
}

const PASSES = 3;
/** How long a thread gets to leave by itself. */
const CLOSE_MS_MAX = 1_000;

/** GB/s of all threads together: of the best of some passes. */
export async function measureMemoryGbps(options: MeterOptions): Promise<number> {
  const { threads, module, sizeBytes } = options;
  const arrivals = new SharedArrayBuffer(4);
  const script = new URL("./meter_worker.ts", import.meta.url);
  const callers = Array.from(
    { length: threads },
    (_, thread) => new WorkerCaller(script, `meter-${thread}`, {}),
  );
  try {
    const calls = callers.map((caller) =>
      caller.call("readMemory", { module, sizeBytes, passes: PASSES, arrivals, threads })
    );
    const times = (await Promise.all(calls)).map(({ ms }) => ms);
    const rates = Array.from(
      { length: PASSES },
      (_, pass) => threads * sizeBytes / Math.max(...times.map((ms) => ms[pass])) / 1e6,
    );
    return Math.max(...rates);
  } finally {
    await Promise.all(callers.map((caller) => caller.close(CLOSE_MS_MAX)));
  }
}
