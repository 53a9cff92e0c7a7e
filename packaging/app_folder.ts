/**
 * The program as a folder of JavaScript that needs Deno and nothing else: what every package
 * contains. npm packages, texts and JSON are inside the code; threads' entries, the kernels and the
 * built-in model lie beside it.
 */
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import {
  bringFilesOfPackages,
  listIncludes,
  MAIN,
  replaceFilesBeside,
  ROOT,
} from "./include_list.ts";
import { readLaunch, runArguments } from "./launch.ts";

/** The program and the library, in an app's folder. */
export const APP_MAIN = "src/cli/main.js";
export const APP_LIBRARY = "mod.js";
/** Where files of npm packages lie in it. */
const PACKAGED = "packages";

/**
 * Makes the folder anew.
 * @throws {Error} when the sources name a file that is not there, or cannot be bundled.
 */
export async function writeAppFolder(folder: string): Promise<void> {
  const entries = [MAIN, "mod.ts"];
  const { workers, assets, packaged } = await listIncludes(entries);
  await Deno.remove(folder, { recursive: true }).catch(ignoreMissing);
  await bundle([...entries, ...workers], folder);
  const places = new Map<string, string>();
  for (const path of [...workers, ...assets]) {
    if (places.has(basename(path))) throw new Error(`Cannot pack two files named as ${path}`);
    places.set(basename(path), path.replace(/\.ts$/, ".js"));
  }
  for (const name of packaged) {
    if (places.has(basename(name))) throw new Error(`Cannot pack two files named as ${name}`);
    places.set(basename(name), `${PACKAGED}/${basename(name)}`);
  }
  for await (const path of files(folder)) rewriteFile(folder, path, places);
  for (const path of assets) {
    await Deno.mkdir(join(folder, dirname(path)), { recursive: true });
    await Deno.copyFile(join(ROOT, path), join(folder, path));
  }
  await Deno.mkdir(join(folder, PACKAGED), { recursive: true });
  for (const name of packaged) {
    const from = fileURLToPath(import.meta.resolve(name));
    await Deno.copyFile(from, join(folder, PACKAGED, basename(name)));
  }
  await Deno.copyFile(join(ROOT, "LICENSE"), join(folder, "LICENSE"));
  await writeLauncher(folder);
}

/** All files of a folder, relative to it, in no order. */
export async function* files(folder: string, below = ""): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(join(folder, below))) {
    const path = below === "" ? name : `${below}/${name}`;
    if (isDirectory) yield* files(folder, path);
    else yield path;
  }
}

/** esbuild, by Deno: one chunk for what several entries share. */
async function bundle(entries: readonly string[], folder: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bundle", "--quiet", "--platform", "deno", "--code-splitting", "--outdir", folder],
      ...entries,
    ],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  if (!success) throw new Error(`Cannot bundle: ${new TextDecoder().decode(stderr)}`);
}

/** Code of several folders is in one chunk: what it names beside itself is elsewhere. */
function rewriteFile(folder: string, path: string, places: ReadonlyMap<string, string>): void {
  const code = Deno.readTextFileSync(join(folder, path));
  const placeOf = (literal: string) => {
    const place = places.get(basename(literal));
    if (place === undefined) throw new Error(`Cannot pack ${path}: nobody lists "${literal}"`);
    const there = relative(dirname(path), place).replaceAll("\\", "/");
    return there.startsWith(".") ? there : `./${there}`;
  };
  const rewritten = bringFilesOfPackages(replaceFilesBeside(code, placeOf), placeOf);
  if (rewritten !== code) Deno.writeTextFileSync(join(folder, path), rewritten);
}

/** `ganglion` for Unix: with the Deno that lies beside it, or the one on the PATH. */
async function writeLauncher(folder: string): Promise<void> {
  const launch = readLaunch();
  const template = await Deno.readTextFile(join(ROOT, "packaging/launcher.sh"));
  const script = template
    .replace("@V8_FLAGS@", launch.v8Flags)
    .replace("@ARGUMENTS@", runArguments(launch).join(" "))
    .replace("@MAIN@", APP_MAIN);
  await Deno.writeTextFile(join(folder, "ganglion"), script, { mode: 0o755 });
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
