/** Making room for others in long work. */
import { pause } from "../base/pause.ts";

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
