import { assertEquals, assertThrows } from "@std/assert";
import { Command } from "commander";
import { UsageError } from "../../../src/base/errors.ts";
import {
  addServerOptions,
  conversationFolder,
  duration,
  prefixCacheFolder,
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

Deno.test("folders that nothing can be kept in are refused before a server starts (fault 38)", () => {
  const folder = Deno.realPathSync(Deno.makeTempDirSync());
  try {
    Deno.writeTextFileSync(`${folder}/file`, "");
    const flags = (path: string) =>
      addServerOptions(new Command())
        .parse(["--prefix-cache", path, "--conversations", path], { from: "user" })
        .opts<ServerFlags>();
    const ways = [prefixCacheFolder, conversationFolder];
    for (const use of ways) {
      assertThrows(() => use(flags(`${folder}/file`)), UsageError, "is a file");
      const below = `${folder}/file/below`;
      const message = `Cannot write "${below}": a part of the path is not a folder`;
      assertThrows(() => use(flags(below)), UsageError, message);
      const long = `${folder}/${"x".repeat(300)}`;
      assertThrows(() => use(flags(long)), UsageError, "the name is too long");
    }
    assertEquals(prefixCacheFolder(flags(`${folder}/a/b`)), `${folder}/a/b`);
    assertEquals(conversationFolder(flags(`${folder}/a/b`))?.path, `${folder}/a/b`);
    assertEquals([...Deno.readDirSync(`${folder}/a/b`)], []);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
