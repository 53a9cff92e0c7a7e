/** How an engine's threads end. Knows nothing of what they did. */
import { pause } from "../src/base/pause.ts";
import type { Control } from "../src/memory/control.ts";
import type { WorkerCaller } from "./caller.ts";
import type { IoPool } from "./io_pool.ts";
import { delayProcessEnd } from "./process_end.ts";

/** How long threads get to leave by themselves. */
const CLOSE_MS_MAX = 1_000;
/** Threads that have said goodbye still free their isolates; no process should exit meanwhile. */
const TEARDOWN_MS = 10;
/** The same after a GPU, on a busy machine, or of gigabytes: the process waits as it ends. */
const GPU_TEARDOWN_MS = 1_000;

/** Threads of one engine: ranks, the leader first, and those that read for them. */
export interface EngineThreads {
  readonly callers: readonly WorkerCaller[];
  readonly control: Control;
  readonly io: IoPool | null;
  readonly hasGpu: boolean;
}

/** Ends all threads; what runs or waits was cancelled before. */
export async function endThreads({ callers, control, io, hasGpu }: EngineThreads): Promise<void> {
  const goodbyes = callers.map((caller) => caller.close(CLOSE_MS_MAX));
  // The leader sends followers home; where it cannot, they leave through the failure word.
  await goodbyes[0];
  control.fail(0);
  await Promise.all(goodbyes);
  await io?.close();
  if (hasGpu) await delayProcessEnd(GPU_TEARDOWN_MS);
  await pause(TEARDOWN_MS);
}
