/** The program as an npm package: `npx ganglion`, with Deno from npm, and the library for Deno. */
import { join } from "node:path";
import project from "../deno.json" with { type: "json" };
import { APP_LIBRARY, APP_MAIN, files } from "./app_folder.ts";
import { declarationsOf } from "./declarations.ts";
import { ROOT } from "./include_list.ts";
import { readLaunch, runArguments } from "./launch.ts";

const BIN = "bin.mjs";
const TYPES = "mod.d.ts";
const NOT_DENO = "not_deno.js";

/** Makes a folder for `npm pack` of an app's folder. */
export async function writeNpmPackage(appFolder: string, folder: string): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  for await (const path of files(appFolder)) {
    if (path === "ganglion") continue; // finds Deno in another way
    await Deno.mkdir(join(folder, path, ".."), { recursive: true });
    await Deno.copyFile(join(appFolder, path), join(folder, path));
  }
  await Deno.copyFile(join(ROOT, "README.md"), join(folder, "README.md"));
  const declarations = declarationsOf(join(ROOT, "mod.ts"));
  await Deno.writeTextFile(join(folder, TYPES), declarations);
  await Deno.writeTextFile(join(folder, NOT_DENO), refusal(declarations));
  const launch = readLaunch();
  const template = await Deno.readTextFile(join(ROOT, "packaging/npm_bin.mjs"));
  const script = template
    .replace("@V8_FLAGS@", launch.v8Flags)
    .replace("@ARGUMENTS@", runArguments(launch).join(" "))
    .replace("@MAIN@", APP_MAIN);
  await Deno.writeTextFile(join(folder, BIN), script, { mode: 0o755 });
  await Deno.writeTextFile(
    join(folder, "package.json"),
    `${JSON.stringify(manifest(Deno.version.deno), null, 2)}\n`,
  );
}

/** deno: the version that packed it, which the tests ran with. */
function manifest(deno: string) {
  return {
    name: "ganglion",
    version: project.version,
    description: "Large language models in Deno: an engine and a chat server without native code",
    license: project.license,
    type: "module",
    bin: { ganglion: BIN },
    exports: { types: `./${TYPES}`, deno: `./${APP_LIBRARY}`, default: `./${NOT_DENO}` },
    dependencies: { deno },
    engines: { node: ">=18" },
  };
}

/** What others than Deno import: the reason, under every name, for names are looked up first. */
function refusal(declarations: string): string {
  const names = /^export \{ (.+) \};$/m.exec(declarations)?.[1] ?? "";
  const reason = "Ganglion's library runs in Deno only: start this program by " +
    '"npx deno run --allow-read --allow-sys=systemMemoryInfo PROGRAM", or start a server by ' +
    '"npx ganglion serve" and use any client of OpenAI\'s API';
  return `export let ${names.replaceAll(/\w+ as /g, "")};\nthrow new Error(${
    JSON.stringify(reason)
  });\n`;
}
