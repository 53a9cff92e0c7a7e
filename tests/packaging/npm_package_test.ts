/** The npm package: packed by npm, installed by npx, started by Node.js; some seconds. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import project from "../../deno.json" with { type: "json" };
import { ROOT } from "../../packaging/include_list.ts";
import { writeNpmPackage } from "../../packaging/npm_package.ts";
import { appFolder, type Ended, runToEnd, temporaryFolder } from "./app.ts";

const TSC = `${project.imports.typescript}/tsc`;

const hasNpm = await new Deno.Command("npm", { args: ["--version"] }).output()
  .then(({ success }) => success, () => false);

Deno.test({
  name: `npx runs the npm package${hasNpm ? "" : " [skipped: no npm]"}`,
  ignore: !hasNpm,
  fn: async () => {
    const folder = temporaryFolder();
    await writeNpmPackage(await appFolder(), join(folder, "npm"));
    const env = {
      ...Deno.env.toObject(),
      npm_config_audit: "false",
      npm_config_fund: "false",
      npm_config_update_notifier: "false",
    };
    const inFolder = (program: string, args: readonly string[]) =>
      runToEnd(program, args, { cwd: folder, env });
    const packed = await inFolder("npm", ["pack", "--json", "./npm"]);
    assertEquals(packed.code, 0, packed.stderr);
    const [{ filename, files, size }] = JSON.parse(packed.stdout);
    const names: string[] = files.map((file: { path: string }) => file.path);
    const needs = ["bin.mjs", "mod.js", "mod.d.ts", "LICENSE", "wasm/kernels.wasm"];
    for (const needed of [...needs, "builtin/model.gguf"]) {
      assert(names.includes(needed), `${needed} is missing`);
    }
    assertEquals(names.filter((name) => /\.ts$/.test(name)), ["mod.d.ts"]);
    assert(size < 8e6, `${size} bytes`);

    await checkInstalled(folder, inFolder, filename);
  },
});

/** A program of a user's, who installs the tarball: right and with mistakes. */
const USE = `
import { type ChatMessage, Engine, RequestError, serve } from "ganglion";

await using engine: Engine = await Engine.load();
const messages: ChatMessage[] = [{ role: "user", content: "What is Ganglion?" }];
for await (const text of engine.chat(messages, { maxTokens: 4 })) console.log(text.length);
const vector: Float32Array = await engine.embed("a");
const { text, timings } = await engine.generate("Ganglion", { maxTokens: 1 }).result;
const server = serve([engine.model], { port: 0 });
export const all: [number, string, number, string, RequestError?] = [
  vector.length, text, timings.predictedTokens, server.url,
];
`;
const IMPORT = 'import { Engine, serve } from "ganglion"';
const MISUSE = `${USE}
// @ts-expect-error: there is no such option
engine.chat("a", { maxTokns: 4 });
// @ts-expect-error: a number is no text
export const wrong: number = text;
`;

async function checkInstalled(
  folder: string,
  inFolder: (program: string, args: readonly string[]) => Promise<Ended>,
  tarball: string,
): Promise<void> {
  Deno.writeTextFileSync(join(folder, "package.json"), '{ "type": "module" }');
  // What `npx --yes ./TARBALL` does, but in this folder: its programs have run their scripts.
  const installed = await inFolder("npm", ["install", `./${tarball}`]);
  assertEquals(installed.code, 0, installed.stderr);
  const ask = ["run", "What is Ganglion?", "--temperature", "0", "--max-tokens", "12"];
  const answer = await inFolder("npx", ["--no", "ganglion", ...ask]);
  assertEquals(answer.code, 0, answer.stderr);
  assertStringIncludes(answer.stdout, "Ganglion runs");
  // Where npm ran no scripts Deno is not there, and is started in another way.
  Deno.removeSync(join(folder, "node_modules/deno/deno"));
  const bin = join(folder, "node_modules/.bin/ganglion");
  const wrong = await inFolder(bin, ["run", "/nonexistent.gguf"]);
  assertEquals(wrong.code, 1, wrong.stderr);
  assertStringIncludes(wrong.stderr, "error: ");
  assertStringIncludes(wrong.stderr, "/nonexistent.gguf");
  Deno.writeTextFileSync(join(folder, "misuse.ts"), MISUSE);
  const deno = await inFolder(Deno.execPath(), ["check", "misuse.ts"]);
  assertEquals(deno.code, 0, deno.stderr);
  const inDeno = await inFolder(Deno.execPath(), [
    "eval",
    `${IMPORT}; console.log(typeof Engine.load)`,
  ]);
  assertEquals([inDeno.code, inDeno.stdout], [0, "function\n"], inDeno.stderr);
  const inNode = await inFolder("node", ["--input-type=module", "--eval", IMPORT]);
  assertStringIncludes(inNode.stderr, "Error: Ganglion's library runs in Deno only: start");
  // An editor's TypeScript, which reads the declarations themselves, too.
  const options = ["--strict", "--noEmit", "--module", "nodenext", "--target", "esnext"];
  const tsc = await runToEnd(
    Deno.execPath(),
    ["run", "--allow-all", TSC, ...options, join(folder, "misuse.ts")],
    { cwd: ROOT, env: Deno.env.toObject() },
  );
  assertEquals(tsc.code, 0, tsc.stdout + tsc.stderr);
}
