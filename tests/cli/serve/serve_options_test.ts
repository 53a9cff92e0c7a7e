import { assertEquals, assertThrows } from "@std/assert";
import { Command } from "commander";
import { UsageError } from "../../../src/base/errors.ts";
import {
  addServerOptions,
  duration,
  readKeys,
  type ServerFlags,
} from "../../../src/cli/serve/serve_options.ts";

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

Deno.test("readKeys() refuses a flag without a key, as of a shell's variable that is not set", () => {
  const keysOf = (...flags: string[]) => {
    const verb = addServerOptions(new Command()).parse(flags, { from: "user" });
    return readKeys(verb.opts<ServerFlags>());
  };
  assertEquals(keysOf("--api-key", "one", "--api-key", "two,three"), ["one", "two", "three"]);
  assertEquals(keysOf(), []);
  for (const empty of ["", " ", ","]) {
    assertThrows(() => keysOf("--api-key", empty), UsageError, "--api-key: it is empty");
  }
});
