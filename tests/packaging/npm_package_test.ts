/** The npm package: packed by npm, installed by npx, started by Node.js; some seconds. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { writeNpmPackage } from "../../packaging/npm_package.ts";
import { appFolder, runToEnd, temporaryFolder } from "./app.ts";

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
    for (
      const needed of ["bin.mjs", "mod.js", "LICENSE", "wasm/kernels.wasm", "builtin/model.gguf"]
    ) {
      assert(names.includes(needed), `${needed} is missing`);
    }
    assertEquals(names.filter((name) => /\.ts$/.test(name)), []);
    assert(size < 8e6, `${size} bytes`);

    const ask = ["run", "What is Ganglion?", "--temperature", "0", "--max-tokens", "12"];
    const answer = await inFolder("npx", ["--yes", `./${filename}`, ...ask]);
    assertEquals(answer.code, 0, answer.stderr);
    assertStringIncludes(answer.stdout, "Ganglion runs");
    const wrong = await inFolder("npx", ["--yes", `./${filename}`, "run", "/nonexistent.gguf"]);
    assertEquals(wrong.code, 1);
  },
});
