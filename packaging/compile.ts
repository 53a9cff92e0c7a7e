/**
 * Executables of Deno's own kind: `deno task compile [--target NAME|all] [--out FOLDER]`. Deno
 * downloads its runtime (denort) for each target, once; where it cannot, this says what to do.
 */
import { join } from "node:path";
import { readArguments, refuse } from "./arguments.ts";
import { listIncludes, MAIN, ROOT } from "./include_list.ts";
import { readLaunch } from "./launch.ts";

/** Systems that Deno is made for. */
const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
] as const;

/** Arguments of `deno` that compile the program for a target. */
export async function compileArguments(target: string, output: string): Promise<string[]> {
  const { v8Flags, permissions } = readLaunch();
  const { workers, assets } = await listIncludes();
  return [
    ...["compile", ...permissions, `--v8-flags=${v8Flags}`],
    // The model is read by node:fs at positions, into shared memory: it wants real files.
    "--self-extracting",
    "--exclude-unused-npm",
    ...[...workers, ...assets].flatMap((path) => ["--include", path]),
    ...["--target", target, "--output", output, MAIN],
  ];
}

const USAGE = `Usage: deno task compile [--target NAME|all] [--out FOLDER]
Executables of Deno's own kind, in the folder (default: dist), for this system or
  ${TARGETS.join("\n  ")}`;

if (import.meta.main) Deno.exit(await compileTask(Deno.args));

/** Does what `deno task compile` with these words does; returns its exit status. */
export async function compileTask(args: readonly string[]): Promise<number> {
  const asked = readArguments(args, { usage: USAGE, target: Deno.build.target });
  if (typeof asked === "number") return asked;
  const targets = asked.target === "all" ? TARGETS : [asked.target];
  const unknown = targets.find((each) => !(TARGETS as readonly string[]).includes(each));
  if (unknown !== undefined) return refuse(`Cannot compile for "${unknown}"`, USAGE);
  let failed = 0;
  for (const target of targets) failed += await compile(target, asked.out) ? 0 : 1;
  return failed === 0 ? 0 : 1;
}

async function compile(target: string, folder: string): Promise<boolean> {
  const output = join(folder, `ganglion-${target}${target.includes("windows") ? ".exe" : ""}`);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: await compileArguments(target, output),
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdout: "inherit",
  }).output();
  if (success) {
    console.log(`${output} is made`);
    return true;
  }
  const message = new TextDecoder().decode(stderr).trimEnd();
  console.error(message);
  if (/denort|dl\.deno\.land|download/i.test(message)) console.error(help(target));
  return false;
}

function help(target: string): string {
  const file = `release/v${Deno.version.deno}/denort-${target}.zip`;
  return `
error: Cannot compile for ${target}: Deno's runtime for it, denort, could not be downloaded. Either
  - compile where https://dl.deno.land can be reached;
  - download https://dl.deno.land/${file} elsewhere, and put it at $DENO_DIR/dl/${file};
  - or use "deno task package one-file", for this system, or "… package npm", for all.`;
}
