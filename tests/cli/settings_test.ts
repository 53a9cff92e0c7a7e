import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Option } from "commander";
import { UsageError } from "../../src/base/errors.ts";
import { wholeNumber } from "../../src/cli/option_values.ts";
import { applySettings, checkNames, environmentName } from "../../src/cli/settings.ts";
import { createDataVerb } from "../../src/cli/verb.ts";
import { runCli } from "./run_cli.ts";

/** Options of a verb after its flags, an environment and a config file were applied. */
function settle(
  { args = [], env = {}, config }: {
    args?: string[];
    env?: Record<string, string>;
    config?: unknown;
  },
): Record<string, unknown> {
  const folder = Deno.makeTempDirSync();
  try {
    const verb = createDataVerb("serve", "")
      .option("--ctx-size <n>", "", wholeNumber({ min: 1 }), 7)
      .addOption(new Option("--kind <kind>").choices(["a", "b"]))
      .action(() => {});
    verb.parse(args, { from: "user" });
    if (config !== undefined) {
      Deno.mkdirSync(`${folder}/ganglion`);
      const text = typeof config === "string" ? config : JSON.stringify(config);
      Deno.writeTextFileSync(`${folder}/ganglion/config.json`, text);
    }
    const variables: Record<string, string> = { XDG_CONFIG_HOME: folder, ...env };
    applySettings(verb, (name) => variables[name]);
    return verb.opts();
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("applySettings() takes flag before environment before config file before default", () => {
  const args = ["--ctx-size", "1"];
  const env = { GANGLION_CTX_SIZE: "2" };
  const config = { "ctx-size": 3 };
  assertEquals(settle({ args, env, config }).ctxSize, 1);
  assertEquals(settle({ env, config }).ctxSize, 2);
  assertEquals(settle({ config }).ctxSize, 3);
  assertEquals(settle({}).ctxSize, 7);
});

Deno.test("applySettings() lets a verb's part of the config file beat the common part", () => {
  assertEquals(settle({ config: { "ctx-size": 3, serve: { "ctx-size": 4 } } }).ctxSize, 4);
  assertEquals(settle({ config: { "ctx-size": 3, run: { "ctx-size": 4 } } }).ctxSize, 3);
});

Deno.test("applySettings() reads booleans as words, not by their being there", () => {
  assertEquals(settle({ env: { GANGLION_JSON: "1" } }).json, true);
  assertEquals(settle({ env: { GANGLION_JSON: "false" } }).json, false);
  assertEquals(settle({ config: { json: true } }).json, true);
  assertThrows(() => settle({ env: { GANGLION_JSON: "maybe" } }), UsageError, "GANGLION_JSON");
});

Deno.test("applySettings() refuses values that the flag would refuse, and says where they are", () => {
  const ctx = { GANGLION_CTX_SIZE: "many" };
  assertThrows(() => settle({ env: ctx }), UsageError, 'GANGLION_CTX_SIZE: "many"');
  assertThrows(() => settle({ env: { GANGLION_KIND: "c" } }), UsageError, "none of a, b");
  assertThrows(() => settle({ config: { "ctx-size": 0 } }), UsageError, 'config "ctx-size"');
  assertThrows(() => settle({ config: { "ctx-size": [1] } }), UsageError, "no text, number");
});

Deno.test("applySettings() refuses a config file that is no JSON object, or named and missing", () => {
  assertThrows(() => settle({ config: "{" }), UsageError, "Cannot read the config file");
  assertThrows(() => settle({ config: [] }), UsageError, "no object");
  const args = ["--config", "/no/such/file.json"];
  assertThrows(() => settle({ args }), UsageError, "/no/such/file.json");
});

Deno.test("applySettings() reads the file that --config or GANGLION_CONFIG names", () => {
  const path = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(path, '{"ctx-size": 9}');
    const config = { "ctx-size": 3 };
    assertEquals(settle({ args: ["--config", path], config }).ctxSize, 9);
    assertEquals(settle({ env: { GANGLION_CONFIG: path }, config }).ctxSize, 9);
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("applySettings() refuses what is no flag in the verb's own part of the config file", () => {
  const own = (part: unknown) => settle({ config: { serve: part } });
  const message = 'Cannot use "serve.ctx_size" of the config file: "serve" has no such flag: ' +
    'is it to be "ctx-size"?';
  assertThrows(() => own({ "ctx-size": 2, ctx_size: 3 }), UsageError, message);
  assertThrows(() => own({ zzzzzzzz: 3 }), UsageError, "no such flag: leave it out");
  assertEquals(own({ kind: "a", json: true }).kind, "a");
  // What others have is theirs to look at.
  assertEquals(settle({ config: { run: { ctx_size: 3 }, threads: 4 } }).ctxSize, 7);
});

Deno.test("checkNames() refuses what is neither a flag of any verb nor a verb", () => {
  const verbs = [createDataVerb("one", "").option("--first <n>", ""), createDataVerb("two", "")];
  checkNames(["first", "json", "config", "two", "one"], verbs);
  const message = 'Cannot use "fisrt" of the config file: it is no verb\'s flag: ' +
    'is it to be "first"?';
  assertThrows(() => checkNames(["json", "fisrt"], verbs), UsageError, message);
});

Deno.test("a config file may have flags of other verbs, and nothing that no verb has", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const show = async (config: unknown) => {
      await Deno.mkdir(`${folder}/ganglion`, { recursive: true });
      await Deno.writeTextFile(`${folder}/ganglion/config.json`, JSON.stringify(config));
      return await runCli(["show", "--json"], { env: { XDG_CONFIG_HOME: folder } });
    };
    const known = { port: 1, "max-tokens": 2, run: { seed: 3 }, bench: {}, json: true };
    assertEquals((await show(known)).code, 0);
    const { code, stderr } = await show({ ...known, "max-token": 2 });
    assertEquals(code, 2);
    assertStringIncludes(
      stderr,
      'Cannot use "max-token" of the config file: it is no verb\'s flag',
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("environmentName() is GANGLION_ and the flag in capitals", () => {
  assertEquals(environmentName("--ctx-size"), "GANGLION_CTX_SIZE");
});
