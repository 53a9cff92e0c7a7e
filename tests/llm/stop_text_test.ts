import { assert, assertEquals } from "@std/assert";
import { StopText } from "../../src/llm/stop_text.ts";
import { Rng } from "../support/rng.ts";

function feed(stops: string[], pieces: string[]): { shown: string; isStopped: boolean } {
  const stop = new StopText(stops);
  let shown = "";
  for (const piece of pieces) shown += stop.push(piece);
  return { shown: shown + stop.flush(), isStopped: stop.isStopped };
}

Deno.test("StopText ends the text before the earliest stop string", () => {
  assertEquals(feed(["END", "\n\n"], ["one ", "two\n", "\nthree END"]), {
    shown: "one two",
    isStopped: true,
  });
});

Deno.test("StopText holds back what may become a stop string, and gives it up when it does not", () => {
  const stop = new StopText(["</s>"]);
  assertEquals(stop.push("a<"), "a");
  assertEquals(stop.push("/s"), "");
  assertEquals(stop.push("b"), "</sb");
  assertEquals(stop.push("<"), "");
  assertEquals(stop.flush(), "<");
});

Deno.test("StopText tells which stop string it has seen", () => {
  const stop = new StopText(["END", "STOP"]);
  stop.push("one ST");
  assertEquals(stop.found, null);
  stop.push("OP two END");
  assertEquals(stop.found, "STOP");
});

Deno.test("StopText ignores empty stop strings", () => {
  assertEquals(feed(["", "x"], ["ab"]), { shown: "ab", isStopped: false });
});

Deno.test("StopText shows the same text however it is cut into pieces", () => {
  const rng = new Rng(7);
  for (let round = 0; round < 500; round++) {
    const letters = () => Array.from({ length: rng.int(12) }, () => "ab\u{1F600}"[rng.int(4)]);
    const text = letters().join("").toWellFormed();
    const stops = [letters().join("").slice(0, 3), letters().join("").slice(0, 2)];
    const pieces: string[] = [];
    for (let at = 0; at < text.length;) {
      const next = at + 1 + rng.int(3);
      pieces.push(text.slice(at, next));
      at = next;
    }
    const ends = stops.filter((stop) => stop !== "").map((stop) => text.indexOf(stop))
      .filter((at) => at >= 0);
    const expected = ends.length > 0 ? text.slice(0, Math.min(...ends)) : text;
    const { shown, isStopped } = feed(stops, pieces);
    // In pieces, a longer stop string that begins earlier may complete later than a shorter one.
    if (!isStopped || ends.length < 2) assertEquals(shown, expected, `round ${round}`);
    assert(text.startsWith(shown));
    assertEquals(isStopped, ends.length > 0);
  }
});
