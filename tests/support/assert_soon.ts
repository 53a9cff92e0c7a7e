import { assertEquals } from "@std/assert";
import { pause } from "../../src/base/pause.ts";

/**
 * For what another process does in its own time: reads until the value is the expected one, and
 * fails with the last value after 5 s.
 */
export async function assertSoon<T>(read: () => Promise<T>, expected: T): Promise<void> {
  const endMs = performance.now() + 5000;
  for (;;) {
    const value = await read();
    if (JSON.stringify(value) === JSON.stringify(expected)) return;
    if (performance.now() >= endMs) return assertEquals(value, expected);
    await pause(20);
  }
}
