import { assertEquals } from "@std/assert";
import { Entry } from "../../src/models/entry.ts";

Deno.test("Entry.broken counts the failures of ten minutes", () => {
  const now = performance.now.bind(performance);
  let laterMs = 0;
  performance.now = () => now() + laterMs;
  try {
    const isBroken = (failures: number, apartMs: number) => {
      const entry = new Entry("a", Infinity);
      for (let i = 0; i < failures; i++) {
        laterMs += apartMs;
        entry.noteFailure();
      }
      return entry.broken !== null;
    };
    assertEquals([isBroken(3, 60_000), isBroken(4, 60_000)], [false, true]);
    assertEquals([isBroken(4, 3.2 * 60_000), isBroken(9, 3.4 * 60_000)], [true, false]);
  } finally {
    delete (performance as Partial<Performance>).now;
  }
});
