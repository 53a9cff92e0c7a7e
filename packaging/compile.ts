/**
 * Executables of Deno's own kind: `deno task compile [--target NAME|all] [--out FOLDER]`. Deno
 * downloads its runtime (denort) for each target, once; where it cannot, this says what to do.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
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

if (import.meta.main) Deno.exit(await main());

async function main(): Promise<number> {
  const values = readArguments();
  if (values === null || values.help) {
    console.log(USAGE);
    return values === null ? 2 : 0;
  }
  const targets = values.target === "all" ? TARGETS : [values.target];
  const unknown = targets.filter((each) => !(TARGETS as readonly string[]).includes(each));
  if (unknown.length > 0) {
    console.error(`error: Cannot compile for "${unknown}": targets are ${TARGETS.join(", ")}, all`);
    return 2;
  }
  let failed = 0;
  for (const target of targets) failed += await compile(target, values.out) ? 0 : 1;
  return failed === 0 ? 0 : 1;
}

/** Null: they make no sense, which is said. */
function readArguments(): { target: string; out: string; help: boolean } | null {
  try {
    return parseArgs({
      args: Deno.args,
      options: {
        target: { type: "string", default: Deno.build.target },
        out: { type: "string", default: "dist" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    console.error(`error: ${error instanceof Error ? error.message : error}`);
    return null;
  }
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
