/** What packaging tasks make of their command lines. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { compileTask } from "../../packaging/compile.ts";
import { packageTask } from "../../packaging/package.ts";

/** Runs a task's program, which may read only: one that packs after all fails. */
async function runProcess(name: string, ...args: string[]) {
  const path = fileURLToPath(new URL(`../../packaging/${name}.ts`, import.meta.url));
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", "--allow-read", "--allow-env", path, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, error };
}

/** The same within this process: what it says goes to the console. */
async function run(name: "package" | "compile", ...args: string[]) {
  const { log, error: logError } = console;
  let [out, error] = ["", ""];
  console.log = (text: string) => out += `${text}\n`;
  console.error = (text: string) => error += `${text}\n`;
  try {
    const code = await (name === "package" ? packageTask : compileTask)(args);
    return { code, out, error };
  } finally {
    [console.log, console.error] = [log, logError];
  }
}

Deno.test("package and compile give help where it is asked for, and do nothing else", async () => {
  for (const [name, ...rest] of [["package", "one-file", "--help"], ["compile", "--help"]]) {
    const { code, out, error } = await runProcess(name, ...rest);
    assertEquals([code, error], [0, ""]);
    assertStringIncludes(out, `Usage: deno task ${name} `);
  }
});

Deno.test("package and compile answer what they do not know in words", async () => {
  for (
    const [message, ...args] of [
      ["Unknown option '--typo'", "package", "app", "--typo"],
      ['Cannot package "apx"', "package", "app", "apx"],
      ["Cannot package: say what", "package"],
      ["Unknown option '--typo'", "compile", "--typo"],
      ["Unexpected argument 'app'", "compile", "app"],
      ['Cannot compile for "x"', "compile", "--target", "x"],
    ] as const
  ) {
    const [name, ...rest] = args;
    const { code, out, error } = await run(name, ...rest);
    assertEquals([code, out], [2, ""], error);
    assertStringIncludes(error, `error: ${message}`);
    assertStringIncludes(error, "Usage: deno task ");
  }
  // A process ends with what the task returns.
  assertEquals((await runProcess("package", "app", "apx")).code, 2);
});
