import { assertEquals } from "@std/assert";
import { LineWatch } from "../../../src/server/native/line_watch.ts";

/** What is left of the pieces, and whether the answer ended. */
function watched(watch: LineWatch, ...pieces: string[]) {
  return [pieces.map((piece) => watch.push(piece)).join("|"), watch.isEnded];
}

Deno.test("LineWatch ends an answer before a line that stands further out", () => {
  const watch = () => new LineWatch({ indentMin: 2 });
  assertEquals(watched(watch(), "a\n  b\n\tc"), ["a\n  b\n\t", true]);
  assertEquals(watched(watch(), "a\n  b\n", " ", "c", "d"), ["a\n  b\n| ||", true]);
  assertEquals(watched(watch(), "a\n\n\n   b\n\t\tc"), ["a\n\n\n   b\n\t\tc", false]);
  // The first line goes on where the cursor stands.
  assertEquals(watched(watch(), "a b\n  c"), ["a b\n  c", false]);
  assertEquals(watched(new LineWatch({}), "a\nb"), ["a\nb", false]);
});

Deno.test("LineWatch begins no line when the time is over, counted from the first text", () => {
  let ms = 1e6;
  const watch = new LineWatch({ msMax: 100, now: () => ms });
  assertEquals(watched(watch, "a"), ["a", false]);
  ms += 101;
  assertEquals([...watched(watch, "b"), watch.hasLine], ["b", false, false]);
  assertEquals([...watched(watch, "c\nd"), watch.hasLine], ["c\nd", true, true]);
  assertEquals(watched(watch, "e"), ["", true]);
});
