/**
 * Keeps the process from ending while threads are being torn down. A thread that had a GPU unloads
 * the driver's libraries after its last message, and a process that ends meanwhile runs the same
 * libraries' last functions: what is unmapped or freed twice by then ends it with a signal (Mesa,
 * NVIDIA). No event says that a thread is gone: its end is given time. Knows nothing of threads.
 */
import { pause } from "../src/base/pause.ts";

/** Of performance.now(). */
let earliestMs = -Infinity;

/**
 * From now on the process takes at least so long to end, by Deno.exit or by itself. A worker hears
 * nothing of the process's end: there it is waited at once.
 */
export async function delayProcessEnd(ms: number): Promise<void> {
  if ("WorkerGlobalScope" in globalThis) {
    await pause(ms);
    return;
  }
  // The same listener again is no second one.
  globalThis.addEventListener("unload", waitForThreads);
  earliestMs = Math.max(earliestMs, performance.now() + ms);
}

function waitForThreads(): void {
  const ms = earliestMs - performance.now();
  if (ms > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
