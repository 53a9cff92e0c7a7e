/** Runs the command line, as a process of its own or within the test's. */
import { fileURLToPath } from "node:url";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";
import { type Given, type Heard, runHere } from "./run_here.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What stderr has besides progress, which is shown of all that takes longer than a moment. */
  readonly said: string;
}

export interface CliInput {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** See `Given`. */
  readonly run?: Given["run"];
}

/** What a user's own settings must not change. */
const ENVIRONMENT = { XDG_CONFIG_HOME: "/nonexistent", NO_COLOR: "1" };

/** Runs `ganglion ARGS` within this process (run_here.ts), with no config file of the user's. */
export async function runCli(
  args: readonly string[],
  { env, stdin = "", run }: CliInput = {},
): Promise<CliResult> {
  return resultOf(await runHere({ args, stdin, run, env: { ...ENVIRONMENT, ...env } }));
}

/** Runs `ganglion ARGS` as its users do: as a process of its own. */
export async function runProcess(
  args: readonly string[],
  { env, stdin = "" }: Omit<CliInput, "run"> = {},
): Promise<CliResult> {
  const child = startCli(args, { env });
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin)).catch(ignoreClosed);
  await writer.close().catch(ignoreClosed);
  return resultOf(await child.output());
}

function resultOf({ code, stdout, stderr }: Heard): CliResult {
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const text = decode(stderr);
  return { code, stdout: decode(stdout), stderr: text, said: text.replaceAll(PROGRESS, "") };
}

/** A line of `Progress`: "Loading tiny.gguf: 40 % (1 MiB of 2 MiB)". */
const PROGRESS = /^.*: \d+ % \(.*\)\n/gm;

/** Starts `ganglion ARGS` with all streams piped. */
export function startCli(
  args: readonly string[],
  { env }: Pick<CliInput, "env"> = {},
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-prompt", "-A", MAIN, ...args],
    env: { ...ENVIRONMENT, ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Calls `test` with the path of a tiny model in a folder of its own. */
export async function withTinyModel(
  test: (path: string, folder: string) => Promise<void>,
  options: TinyModelOptions = {},
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/tiny.gguf`;
    await Deno.writeFile(path, tinyModel(options));
    await test(path, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A program that has ended does not read its stdin: no failure of the test. */
function ignoreClosed(): void {}
