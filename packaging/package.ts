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

const { values: { out }, positionals } = parseArgs({
  args: Deno.args,
  options: { out: { type: "string", default: "dist" } },
  allowPositionals: true,
});
const kinds = positionals.includes("all") ? [...KINDS] : positionals;
const isKnown = kinds.every((kind) => (KINDS as readonly string[]).includes(kind));
if (kinds.length === 0 || !isKnown) {
  console.error(`Usage: deno task package ${KINDS.join("|")}|all [--out FOLDER]`);
  Deno.exit(2);
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
