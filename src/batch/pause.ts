/** Waiting that can be cut short, and making room for others in long work. */

/** Resolves after `ms`, or when the signal is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
  });
}

/** The event loop may be held so long. */
const HOLD_MS = 5;

/** To be awaited between parts of long work: lets others have the event loop every few ms. */
export function breather(): () => Promise<void> {
  let heldMs = performance.now();
  return async () => {
    if (performance.now() - heldMs < HOLD_MS) return;
    await pause(0);
    heldMs = performance.now();
  };
}
