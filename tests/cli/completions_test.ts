import { assertEquals, assertStringIncludes } from "@std/assert";
import { completionScript } from "../../src/cli/completions/shells.ts";
import { runCli } from "./run_cli.ts";

/** What bash would offer behind these words. */
async function offered(
  script: string,
  words: readonly string[],
  folder: string,
): Promise<string[]> {
  const probe = `COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})
    COMP_CWORD=${words.length - 1}; _ganglion; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", `${script}\n${probe}`],
    env: { GANGLION_MODELS_DIR: folder },
  }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
  return new TextDecoder().decode(stdout).trim().split("\n");
}

Deno.test("completions bash offers verbs, flags, their values and pulled models", async () => {
  const { stdout: script, code } = await runCli(["completions", "bash"]);
  assertEquals(code, 0);
  const folder = await Deno.makeTempDir();
  try {
    for (const name of ["a-00001-of-00002.gguf", "a-00002-of-00002.gguf", "b.ganglion", "c.txt"]) {
      await Deno.writeTextFile(`${folder}/${name}`, "");
    }
    assertEquals(await offered(script, ["ganglion", "s"], folder), [
      "serve",
      "show",
      "stop",
      "synth",
    ]);
    assertEquals(await offered(script, ["ganglion", "run", "--temp"], folder), ["--temperature"]);
    assertEquals(await offered(script, ["ganglion", "run", "--gpu", "o"], folder), ["off", "on"]);
    assertEquals(await offered(script, ["ganglion", "show", "a"], folder), ["a"]);
    assertEquals(await offered(script, ["ganglion", "rm", "b"], folder), ["b"]);
    // A hub may call a file anything.
    await Deno.writeTextFile(`${folder}/x$(touch ran)\`touch ran\`.gguf`, "");
    await offered(`cd ${folder}; ${script}`, ["ganglion", "rm", "x"], folder);
    assertEquals([...Deno.readDirSync(folder)].some(({ name }) => name === "ran"), false);
    assertEquals(await offered(script, ["ganglion", "completions", "z"], folder), ["zsh"]);
    assertEquals(await offered(script, ["ganglion", "serve", "--host", "x"], folder), [""]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("completionScript() quotes what summaries say, for zsh and fish", () => {
  const flag = { name: "--x", summary: "it's [a: b]", takesValue: true, choices: ["1", "2"] };
  const verb = { names: ["do"], summary: "Does it.", flags: [flag], takesModel: true, choices: [] };
  const zsh = completionScript("zsh", [verb], "g");
  assertStringIncludes(zsh, String.raw`'--x[it'\''s \[a\: b\]]:value:(1 2)'`);
  assertStringIncludes(zsh, "'*:model:_g_models'");
  const fish = completionScript("fish", [verb], "g");
  assertStringIncludes(fish, String.raw`-l x -x -a '1 2' -d 'it\'s [a: b]'`);
});

Deno.test("completions refuses other shells and names that are none", async () => {
  const shell = await runCli(["completions", "csh"]);
  assertEquals([shell.code, shell.stdout], [2, ""]);
  assertStringIncludes(shell.stderr, "Allowed choices are bash, zsh, fish");
  const name = await runCli(["completions", "bash", "--command", "x; rm"]);
  assertEquals(name.code === 0, false);
});
