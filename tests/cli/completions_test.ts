import { assertEquals, assertStringIncludes } from "@std/assert";
import { completionScript } from "../../src/cli/completions/shells.ts";
import { runCli } from "./run_cli.ts";
import { runOnTerminal, whyNoTerminal } from "./terminal.ts";

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

/** What a name of a test says where a shell is not installed. */
function missing(shell: string): string {
  try {
    new Deno.Command(shell, { args: ["--version"] }).outputSync();
    return "";
  } catch {
    return ` [skipped: no ${shell}]`;
  }
}

/** A file with the script, in a folder with some models and a text. */
async function withScript(
  shell: string,
  use: (script: string, folder: string) => Promise<void>,
): Promise<void> {
  const { stdout, code } = await runCli(["completions", shell]);
  assertEquals(code, 0);
  const folder = await Deno.makeTempDir();
  try {
    for (const name of ["a-00001-of-00002.gguf", "b.ganglion", "c.txt"]) {
      await Deno.writeTextFile(`${folder}/${name}`, "");
    }
    await Deno.writeTextFile(`${folder}/.script`, stdout);
    await use(`${folder}/.script`, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
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

Deno.test({
  name: `completions zsh offers the same, in a zsh${missing("zsh")}`,
  ignore: missing("zsh") !== "" || whyNoTerminal() !== null,
  fn: () =>
    withScript("zsh", async (script, folder) => {
      const env = { HOME: folder, GANGLION_MODELS_DIR: folder, TERM: "dumb" };
      await runOnTerminal(["zsh", "-f", "-i"], env, async ({ log, see, type }) => {
        await type("autoload -Uz compinit; compinit -u -D; bindkey '^X' list-choices\n");
        await type(`cd ${folder}; source ${script}; PS1='> '; echo RE''ADY\n`);
        await see(/READY\r*\n[^]*> /);
        /** Types a line, and what comes behind it when choices are listed; empties the line. */
        const list = async (line: string, last: RegExp): Promise<void> => {
          log.text = "";
          await type(`${line}\x18`);
          await see(last);
          await type("\x15");
        };
        await list("ganglion s", /serve +-- Serve the chat[^]*show +-- Print[^]*stop[^]*synth/);
        await list("ganglion run --temp", /--temperature +-- 0 takes the best token/);
        await list("ganglion run --gpu ", /auto +force +off +on/);
        await list("ganglion run --draft-model b", /b\.ganglion/);
        await list("ganglion show a", /\na\r?\n/);
        await list("ganglion completions z", /\nzsh/);
        // Numbers are no files: nothing is offered, and the line is done by hand.
        log.text = "";
        await type("ganglion run --temperature \t0.5 --see\t");
        await see(/--seed /);
        assertEquals(log.text.includes("c.txt"), false, log.text);
        await type("\x15exit\n");
      });
    }),
});

Deno.test({
  name: `completions fish offers the same, in a fish${missing("fish")}`,
  ignore: missing("fish") !== "",
  fn: () =>
    withScript("fish", async (script, folder) => {
      const offers = async (line: string) => {
        const { stdout, stderr } = await new Deno.Command("fish", {
          args: ["--no-config", "-c", `source ${script}; complete -C '${line}'`],
          cwd: folder,
          env: { HOME: folder, GANGLION_MODELS_DIR: folder },
        }).output();
        assertEquals(new TextDecoder().decode(stderr), "");
        const lines = new TextDecoder().decode(stdout).trim().split("\n");
        return lines.map((each) => each.split("\t")[0]);
      };
      assertEquals(await offers("ganglion s"), ["serve", "show", "stop", "synth"]);
      assertEquals(await offers("ganglion run --temp"), ["--temperature"]);
      assertEquals(await offers("ganglion run --gpu o"), ["off", "on"]);
      assertEquals(await offers("ganglion run --draft-model b"), ["b.ganglion"]);
      assertEquals(await offers("ganglion run --temperature "), [""]);
      assertEquals(await offers("ganglion show a"), ["a", "a-00001-of-00002.gguf"]);
      assertEquals(await offers("ganglion completions z"), ["zsh"]);
    }),
});

Deno.test("completionScript() quotes what summaries say, for zsh and fish", () => {
  const flag = {
    name: "--x",
    summary: "it's [a: b]",
    takesValue: true,
    takesPath: false,
    choices: ["1", "2"],
  };
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
