/**
 * `deno task package app|one-file|npm|all [--out FOLDER]`: what people install, made of this
 * checkout.
 */
import { join } from "node:path";
import { writeAppFolder } from "./app_folder.ts";
import { readArguments, refuse } from "./arguments.ts";
import { writeNpmPackage } from "./npm_package.ts";
import { writeOneFile } from "./one_file.ts";

const KINDS = ["app", "one-file", "npm"] as const;

const USAGE = `Usage: deno task package ${KINDS.join("|")}|all [--out FOLDER]
  app       a folder that any Deno runs
  one-file  a script that unpacks itself and Deno, for the system it is made on
  npm       a folder for npm pack; npx runs it`;

if (import.meta.main) Deno.exit(await packageTask(Deno.args));

/** Does what `deno task package` with these words does; returns its exit status. */
export async function packageTask(args: readonly string[]): Promise<number> {
  const asked = readArguments(args, { usage: USAGE, takesKinds: true });
  if (typeof asked === "number") return asked;
  const { out, positionals } = asked;
  const kinds = positionals.includes("all") ? [...KINDS] : positionals;
  const unknown = kinds.find((kind) => !(KINDS as readonly string[]).includes(kind));
  if (kinds.length === 0) return refuse("Cannot package: say what", USAGE);
  if (unknown !== undefined) return refuse(`Cannot package "${unknown}"`, USAGE);
  await Deno.mkdir(out, { recursive: true });
  const app = join(out, "app");
  await writeAppFolder(app);
  console.log(
    `${app}: the program for any Deno ${Deno.version.deno}; start ${join(app, "ganglion")}`,
  );
  if (kinds.includes("one-file")) {
    const path = join(out, `ganglion-${Deno.build.target}.run`);
    await writeOneFile(app, path);
    console.log(`${path}: everything in one file, Deno included`);
  }
  if (kinds.includes("npm")) {
    const folder = join(out, "npm");
    await writeNpmPackage(app, folder);
    console.log(`${folder}: for npm; try "npm pack" there, and "npx ./ganglion-….tgz"`);
  }
  return 0;
}
