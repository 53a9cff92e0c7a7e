/**
 * `deno task package app|one-file|npm|all [--out FOLDER]`: what people install, made of this
 * checkout.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeAppFolder } from "./app_folder.ts";
import { writeNpmPackage } from "./npm_package.ts";
import { writeOneFile } from "./one_file.ts";

const KINDS = ["app", "one-file", "npm"] as const;

const USAGE = `Usage: deno task package ${KINDS.join("|")}|all [--out FOLDER]
  app       a folder that any Deno runs
  one-file  a script that unpacks itself and Deno, for the system it is made on
  npm       a folder for npm pack; npx runs it`;

const { values: { out, help }, positionals } = parseArgs({
  args: Deno.args,
  options: {
    out: { type: "string", default: "dist" },
    help: { type: "boolean", default: false },
  },
  strict: false,
});
const kinds = positionals.includes("all") ? [...KINDS] : positionals;
const isKnown = kinds.every((kind) => (KINDS as readonly string[]).includes(kind));
if (kinds.length === 0 || !isKnown || typeof out !== "string") {
  console.error(USAGE);
  Deno.exit(help ? 0 : 2);
}
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
