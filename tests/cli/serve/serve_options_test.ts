import { assertEquals, assertThrows } from "@std/assert";
import { duration } from "../../../src/cli/serve/serve_options.ts";

Deno.test("duration() reads times as people and Ollama's users write them", () => {
  const cases: [string, number][] = [
    ["0", 0],
    ["300", 300_000],
    ["1.5", 1_500],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["250ms", 250],
    ["-1", Infinity],
    ["-1m", Infinity],
  ];
  for (const [text, ms] of cases) assertEquals(duration(text), ms, text);
  for (const text of ["", "5 minutes", "m", "5x", "1e3", "∞"]) assertThrows(() => duration(text));
});
